package gen

import "github.com/mmcloughlin/avo/ir"

// interleave emits what bodies emit, without jumps and each on registers of its own, as one
// sequence: each is spread evenly over it. A processor looks only so far ahead, and
// instructions that wait for others fill that: of two chains one after the other it starts the
// second late.
func (f *file) interleave(bodies ...func()) {
	var streams [][]ir.Node
	total := 0
	for _, body := range bodies {
		nodes := f.emitted(body)
		streams = append(streams, nodes)
		total += len(nodes)
	}
	fn := f.current()
	taken := make([]int, len(streams))
	for done := range total {
		// The stream that is furthest behind its share.
		next, most := 0, -1
		for i, s := range streams {
			if behind := (done+1)*len(s) - taken[i]*total; taken[i] < len(s) && behind > most {
				next, most = i, behind
			}
		}
		fn.Nodes = append(fn.Nodes, streams[next][taken[next]])
		taken[next]++
	}
}

// emitted returns what body emits, instead of appending it to the function.
func (f *file) emitted(body func()) []ir.Node {
	fn := f.current()
	from := len(fn.Nodes)
	body()
	nodes := append([]ir.Node(nil), fn.Nodes[from:]...)
	fn.Nodes = fn.Nodes[:from]
	return nodes
}

// current is the function that is being emitted.
func (f *file) current() *ir.Function {
	result, err := f.Result()
	if err != nil {
		panic(err)
	}
	all := result.Functions()
	return all[len(all)-1]
}
