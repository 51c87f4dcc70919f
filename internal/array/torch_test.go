package array

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A pickler writes what torch.save does, with protocol 2.
type pickler struct{ bytes.Buffer }

func (p *pickler) int(n int) *pickler {
	if n > math.MaxInt32 {
		p.WriteString("\x8a\x08") // LONG1 of eight bytes
		_ = binary.Write(p, binary.LittleEndian, int64(n))
		return p
	}
	p.WriteByte('J')
	_ = binary.Write(p, binary.LittleEndian, int32(n))
	return p
}

func (p *pickler) text(s string) *pickler {
	p.WriteByte('X')
	_ = binary.Write(p, binary.LittleEndian, uint32(len(s)))
	p.WriteString(s)
	return p
}

func (p *pickler) op(s string) *pickler {
	p.WriteString(s)
	return p
}

func (p *pickler) ints(list []int) *pickler {
	p.op("(")
	for _, n := range list {
		p.int(n)
	}
	return p.op("t")
}

// viewSpec is a view of a storage for buildTorch.
type viewSpec struct {
	class          string // of the storage
	storage        int
	size, offset   int
	shape, strides []int
}

func (p *pickler) tensor(v viewSpec) *pickler {
	p.op("ctorch._utils\n_rebuild_tensor_v2\n((").text("storage").op("ctorch\n" + v.class + "\n").text(fmt.Sprint(v.storage)).text("cpu").int(v.size).op("tQ")
	return p.int(v.offset).ints(v.shape).ints(v.strides).op("\x89ccollections\nOrderedDict\n)RtR")
}

// buildTorch makes a torch file of a pickle and storages.
func buildTorch(t *testing.T, pickle []byte, method uint16, members map[string][]byte) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	add := func(name string, data []byte) {
		w, err := z.CreateHeader(&zip.FileHeader{Name: "archive/" + name, Method: method})
		require.NoError(t, err)
		_, err = w.Write(data)
		require.NoError(t, err)
	}
	add("data.pkl", pickle)
	for _, name := range slices.Sorted(maps.Keys(members)) {
		add(name, members[name])
	}
	add("version", []byte("3\n"))
	require.NoError(t, z.Close())
	return b.Bytes()
}

// simpleTorch is an independent reader of pickles as torch.save writes them:
// nested maps and slices, marks on the stack, and a panic where it does not know
// better. It takes some pickles that are damaged. The result has the names of
// the views.
func simpleTorch(b []byte) (views map[string]viewSpec, ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	type mark struct{}
	type other struct{}
	type dict struct{ pairs *[]any }
	type list struct {
		items *[]any
		tuple bool
	}
	var stack []any
	memo := map[int]any{}
	at := 0
	take := func(n int) []byte { at += n; return b[at-n : at] }
	number := func(n int) int {
		x := 0
		for i, v := range take(n) {
			x |= int(v) << (8 * i)
		}
		return x
	}
	isMark := func(v any) bool { _, is := v.(mark); return is }
	push := func(v any) { stack = append(stack, v) }
	pop := func() any {
		v := stack[len(stack)-1]
		if isMark(v) {
			panic("a mark")
		}
		stack = stack[:len(stack)-1]
		return v
	}
	toMark := func() []any {
		i := len(stack) - 1
		for ; !isMark(stack[i]); i-- {
		}
		items := slices.Clone(stack[i+1:])
		stack = stack[:i]
		return items
	}
	last := func(n int) []any {
		items := make([]any, n)
		for i := range items {
			items[n-1-i] = pop()
		}
		return items
	}
	line := func() string {
		n := bytes.IndexByte(b[at:], '\n')
		s := string(take(n))
		at++
		return s
	}
	tuple := func(items []any) any { return list{&items, true} }
	fill := func(items []any) {
		switch v := stack[len(stack)-1].(type) {
		case list:
			*v.items = append(*v.items, items...)
		case dict:
			*v.pairs = append(*v.pairs, items...)
		case other:
		default:
			panic("no container")
		}
	}
	put := func(i int) { v := pop(); memo[i] = v; push(v) }
	get := func(i int) {
		v, ok := memo[i]
		if !ok {
			panic("no memo")
		}
		push(v)
	}
	ints := func(v any) (out []int) {
		for _, n := range *v.(list).items {
			out = append(out, n.(int))
		}
		return out
	}
	var root any
	for root == nil {
		op := b[at]
		at++
		switch op {
		case '.':
			root = []any{pop()}
		case 0x80:
			take(1)
		case 0x95:
			take(8)
		case '(':
			push(mark{})
		case '0':
			pop()
		case '1':
			toMark()
		case 'N':
			push(nil)
		case 0x88, 0x89:
			push(op == 0x88)
		case 'K':
			push(number(1))
		case 'M':
			push(number(2))
		case 'J':
			push(int(int32(number(4))))
		case 'G':
			take(8)
			push(1.5)
		case 0x8a, 0x8b:
			digits := take(number(map[byte]int{0x8a: 1, 0x8b: 4}[op]))
			if len(digits) > 8 {
				push(other{})
				break
			}
			x, negative := 0, false
			for i, v := range digits {
				x |= int(v) << (8 * i)
				negative = v >= 128
			}
			if negative && len(digits) < 8 {
				x -= 1 << (8 * len(digits))
			}
			push(x)
		case 'X', 'T':
			push(string(take(number(4))))
		case 'U', 0x8c:
			push(string(take(number(1))))
		case 0x8d:
			push(string(take(number(8))))
		case 'B':
			take(number(4))
			push(other{})
		case 'C':
			take(number(1))
			push(other{})
		case 0x8e, 0x96:
			take(number(8))
			push(other{})
		case ']':
			push(list{new([]any), false})
		case ')':
			push(list{new([]any), true})
		case '}':
			push(dict{new([]any)})
		case 0x8f:
			push(other{})
		case 't':
			push(tuple(toMark()))
		case 0x85, 0x86, 0x87:
			push(tuple(last(int(op) - 0x84)))
		case 'a':
			fill(last(1))
		case 's':
			fill(last(2))
		case 'e', 'u', 0x90:
			fill(toMark())
		case 0x91:
			toMark()
			push(other{})
		case 'q':
			put(number(1))
		case 'r':
			put(number(4))
		case 0x94:
			put(len(memo))
		case 'h':
			get(number(1))
		case 'j':
			get(number(4))
		case 'c':
			m := line()
			push("." + m + "." + line())
		case 0x93:
			n := pop().(string)
			push("." + pop().(string) + "." + n)
		case 'b':
			pop()
		case 'Q':
			id := *pop().(list).items
			push(viewSpec{class: id[1].(string), storage: int(id[2].(string)[0]), size: id[4].(int)})
		case 'R':
			args := *pop().(list).items
			switch f := pop().(string); {
			case f == ".collections.OrderedDict":
				push(dict{new([]any)})
			case strings.HasPrefix(f, "._") || strings.HasPrefix(f, ".torch._utils._rebuild_parameter"):
				push(args[0])
			case strings.HasPrefix(f, ".torch._utils._rebuild_tensor"):
				v := args[0].(viewSpec)
				v.offset, v.shape, v.strides = args[1].(int), ints(args[2]), ints(args[3])
				push(v)
			default:
				push(other{})
			}
		default:
			panic("unknown")
		}
	}
	views = map[string]viewSpec{}
	var walk func(path string, v any, depth int)
	walk = func(path string, v any, depth int) {
		if depth > 70 || len(views) > 1000 {
			panic("too deep")
		}
		under := func(key, v any) {
			name := fmt.Sprint(key)
			if path != "" {
				name = path + "." + name
			}
			walk(name, v, depth+1)
		}
		switch v := v.(type) {
		case viewSpec:
			views[path] = v
		case list:
			for i, item := range *v.items {
				under(i, item)
			}
		case dict:
			final := map[any]any{}
			for i := 0; i < len(*v.pairs); i += 2 {
				switch key := (*v.pairs)[i].(type) {
				case string, int:
					final[key] = (*v.pairs)[i+1]
				}
			}
			for key, item := range final {
				under(key, item)
			}
		}
	}
	walk("", root.([]any)[0], 0)
	return views, true
}

// simpleView returns the numbers of a view, one by one.
func simpleView(v viewSpec, storage []byte, code string) []float64 {
	decode, size := simpleType(code, binary.LittleEndian)
	out := []float64{}
	for i := range product(v.shape) {
		at, rest := v.offset, i
		for axis := len(v.shape) - 1; axis >= 0; axis-- {
			at, rest = at+rest%v.shape[axis]*v.strides[axis], rest/v.shape[axis]
		}
		out = append(out, decode(storage[at*size:][:size]))
	}
	return out
}

var classCodes = map[string]string{"FloatStorage": "f4", "DoubleStorage": "f8", "HalfStorage": "f2", "BFloat16Storage": "V2", "BoolStorage": "b1",
	"ByteStorage": "u1", "CharStorage": "i1", "ShortStorage": "i2", "IntStorage": "i4", "LongStorage": "i8"}

// FuzzTorch reads views of a shared storage as the simple reader does; where a
// byte of the pickle is changed, as the same, or as an error.
func FuzzTorch(f *testing.F) {
	classes := slices.Sorted(maps.Keys(classCodes))
	for kind := range classes {
		f.Add(uint8(kind), uint8(0x34), uint8(kind), []byte{1, 0, 255, 7}, uint16(0), uint8(0))
	}
	for at := range 200 { // kinds of instructions
		f.Add(uint8(at), uint8(0x23), uint8(7*at), []byte{5, 0, 2}, uint16(3*at), uint8(1<<(at%7)))
	}
	f.Fuzz(func(t *testing.T, kind, dims, offset uint8, data []byte, at uint16, change uint8) {
		class := classes[int(kind)%len(classes)]
		code := classCodes[class]
		_, size := simpleType(code, binary.LittleEndian)
		rows, cols := int(dims>>4), int(dims&15)
		n := 2*rows*cols + int(offset)%5 + 1
		storage := make([]byte, n*size)
		for i := range storage {
			if storage[i] = byte(i * 37); len(data) > 0 {
				storage[i] = data[i%len(data)]
			}
		}
		view := func(shape, strides []int) viewSpec {
			return viewSpec{class, 0, n, int(offset) % 5, shape, strides}
		}
		p := new(pickler)
		p.op("\x80\x02}(").text("a").tensor(view([]int{rows, cols}, []int{cols, 1})).text("b").op("q\x01]q\x02(")
		p.tensor(view([]int{cols, rows}, []int{1, cols})).tensor(view([]int{rows, cols}, []int{2 * cols, 2})).op("}").text("x").tensor(view(nil, nil)).op("s")
		p.op("N\x88\x8a\x02\xff\x7fM\x10\x00K\x01\x85eK\x07").tensor(view([]int{3, rows}, []int{0, cols})).op("u.")
		pickle := p.Bytes()
		if change != 0 {
			pickle[int(at)%len(pickle)] ^= change
		}
		file := buildTorch(t, pickle, []uint16{zip.Store, zip.Deflate}[kind>>7], map[string][]byte{"data/0": storage})
		in, err := OpenInput(writeFile(t, "x.pt", file))
		require.NoError(t, err)
		defer in.Close()
		c, err := in.Container()
		if err != nil {
			require.NotZero(t, change, "%v", err)
			return
		}
		views, ok := simpleTorch(pickle)
		require.True(t, ok, "the simple reader finds it damaged: %q", pickle)
		keys := c.Keys()
		require.ElementsMatch(t, slices.Collect(maps.Keys(views)), keys)
		for _, key := range keys {
			a, err := c.Open(key)
			if err != nil {
				require.NotZero(t, change, "%v", err)
				continue
			}
			v := views[key]
			require.Equal(t, append([]int{}, v.shape...), append([]int{}, a.Shape...))
			sameValues(t, simpleView(v, storage, classCodes[strings.TrimPrefix(v.class, ".torch.")]), append([]float64{}, All[float64](a)...))
			require.NoError(t, a.Close())
		}
	})
}

// FuzzPickle: any bytes are a value or an error.
func FuzzPickle(f *testing.F) {
	f.Add([]byte("\x80\x02}(X\x01\x00\x00\x00aK\x07u."))
	f.Add([]byte("\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00]\x94(K\x01\x8c\x01ae."))
	f.Add(new(pickler).op("\x80\x02").tensor(viewSpec{"FloatStorage", 0, 4, 0, []int{2, 2}, []int{2, 1}}).op(".").Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		root, err := readPickle(b)
		if err != nil {
			return
		}
		file := &torchFile{Archive: &Archive{path: "x"}, tensors: map[string]*pyTensor{}}
		if file.name("", root, maxNesting, &walk{maxValues, maxDirectory}) != nil {
			return
		}
		views, ok := simpleTorch(b)
		require.True(t, ok, "%q", b)
		require.ElementsMatch(t, slices.Collect(maps.Keys(views)), file.names)
	})
}

// TestTorch: what lies in one piece is not copied, a file of one tensor needs no
// name, and what is wrong with a file is said.
func TestTorch(t *testing.T) {
	storage := make([]byte, 48)
	for i := range 12 {
		binary.LittleEndian.PutUint32(storage[4*i:], uint32(0x3f800000+i<<20))
	}
	float := func(offset int, shape, strides []int) viewSpec {
		return viewSpec{"FloatStorage", 0, 12, offset, shape, strides}
	}
	write := func(pickle []byte, change func(members map[string][]byte)) string {
		members := map[string][]byte{"data/0": storage}
		if change != nil {
			change(members)
		}
		return writeFile(t, "x.pt", buildTorch(t, pickle, zip.Store, members))
	}
	one := func(v viewSpec) []byte { return new(pickler).op("\x80\x02").tensor(v).op(".").Bytes() }
	path := write(one(float(4, []int{2, 1, 4}, []int{4, 77, 1})), nil)
	a, err := Open(path)
	require.NoError(t, err)
	require.Equal(t, []int{2, 1, 4}, a.Shape)
	require.Equal(t, path, a.Name)
	_, viewed := View[float32](a, 0, 8)
	where := a.start
	require.NoError(t, a.Close())
	file, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, storage[16:], file[where:where+32])
	require.Equal(t, hostLittleEndian && where%4 == 0, viewed, "torch aligns storages, this archive may not")
	_, err = Open(path + ":x")
	require.ErrorContains(t, err, `no array "x"`)

	// A tensor without elements may lie anywhere, however far.
	for _, offset := range []int{0, 12, 13, math.MaxInt / 4, math.MaxInt/4 + 1, math.MaxInt/2 + 1, math.MaxInt} {
		a, err := Open(write(one(float(offset, []int{0, 4}, []int{4, 1})), nil))
		require.NoError(t, err, offset)
		require.Equal(t, []int{0, 4}, a.Shape)
		require.NoError(t, a.Close())
		_, err = Open(write(one(float(offset, []int{3, 5}, []int{4, 1})), nil))
		require.ErrorContains(t, err, "damaged data.pkl")
	}

	// The byte order of the machine that wrote it.
	big := slices.Clone(storage)
	swapBytes(big, 4)
	a, err = Open(write(one(float(0, []int{12}, []int{1})), func(m map[string][]byte) { m["data/0"], m["byteorder"] = big, []byte("big") }))
	require.NoError(t, err)
	require.Equal(t, simpleView(float(0, []int{12}, []int{1}), storage, "f4"), All[float64](a))
	require.NoError(t, a.Close())

	// A type that has no class of storages, as torch 2.3 and later write it.
	untyped := func(size int, element string) []byte {
		p := new(pickler).op("\x80\x02ctorch._utils\n_rebuild_tensor_v3\n((").text("storage").op("ctorch.storage\nUntypedStorage\n").text("0").text("cpu").int(size)
		return p.op("tQ").int(2).ints([]int{5}).ints([]int{2}).op("\x89ccollections\nOrderedDict\n)Rctorch\n" + element + "\ntR.").Bytes()
	}
	a, err = Open(write(untyped(48, "uint32"), nil))
	require.NoError(t, err)
	require.Equal(t, Uint32, a.Type)
	require.Equal(t, int64(0x3f800000+4<<20), All[int64](a)[1])
	require.NoError(t, a.Close())

	negated := new(pickler).op("\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((").text("storage").op("ctorch\nFloatStorage\n").text("0").text("cpu").int(12).op("tQ").int(0).ints([]int{12}).ints([]int{1}).op("\x89N}").text("neg").op("\x88stR.").Bytes()
	list := func(ops string) []byte { return []byte("\x80\x02" + ops + ".") }
	deep := strings.Repeat("](", 100) + strings.Repeat("e", 100)
	laughs := "]q\x00" + strings.Repeat("0](h\x00h\x00eq\x00", 40)
	state := new(pickler).op("\x80\x02ccollections\nOrderedDict\n)R(").text("w").op("ctorch._utils\n_rebuild_parameter\n(").tensor(float(0, []int{12}, []int{1})).op("\x88NtRu}").text("_metadata").op("Nsb.").Bytes()
	a, err = Open(write(state, nil))
	require.NoError(t, err)
	require.Equal(t, "w", a.Name[strings.LastIndex(a.Name, ":")+1:])
	require.NoError(t, a.Close())
	dict := new(pickler).op("\x80\x02}(").text("a.b").tensor(float(0, nil, nil)).text("a").op("}").text("b").tensor(float(0, nil, nil)).op("su.").Bytes()
	missing := float(0, nil, nil)
	missing.storage = 1
	short := float(0, []int{13}, []int{1})
	short.size = 13
	for _, c := range []struct {
		path, want string
	}{
		{write(list("cos\nsystem\n(X\x02\x00\x00\x00lstR"), nil), "refused: data.pkl asks for os.system, which is none of tensors"},
		{write(list("\x8c\x08builtins\x8c\x04eval\x93"), nil), "refused: data.pkl asks for builtins.eval"},
		{write(list("cnumpy.core.multiarray\n_reconstruct\n"), nil), "numpy.core.multiarray._reconstruct"},
		{write(list("c\x1b[31m\nx\n"), nil), `"\x1b[31m.x"`},
		{write(list("]"), nil), "no arrays in it"},
		{write(list("iposix\nsystem\n"), nil), "the instruction 0x69, which torch.save does not write"},
		{write(list(deep), nil), "too deeply nested"},
		{write(list(laughs), nil), "too deeply nested, or too many"},
		{write(list("]q\x00h\x00a"), nil), "too deeply nested"},
		{write(list(""), nil), "damaged data.pkl"},
		{write(list("h\x05"), nil), "damaged data.pkl"},
		{write(list("(K\x01"), nil), "damaged data.pkl"},
		{write(list("X\xff\xff\xff\xff"), nil), "damaged data.pkl"},
		{write(list("\x8d\xff\xff\xff\xff\xff\xff\xff\xffa"), nil), "damaged data.pkl"},
		{write(one(float(0, []int{13}, []int{1})), nil), "damaged data.pkl"},
		{write(one(float(1, []int{2, 6}, []int{6, 1})), nil), "damaged data.pkl"},
		{write(one(float(0, []int{2, 2}, []int{1<<31 - 1, 1})), nil), "damaged data.pkl"},
		{write(one(float(-1, []int{2}, []int{1})), nil), "damaged data.pkl"},
		{write(one(float(0, []int{2, 2}, []int{1})), nil), "damaged data.pkl"},
		{write(one(float(0, []int{1 << 30, 1 << 30, 1 << 30}, []int{0, 0, 0})), nil), "larger than any file"},
		{write(one(float(0, []int{1 << 24, 4}, []int{0, 1})), nil), "repeats 12 numbers; write it with .contiguous()"},
		{write(negated, nil), "conjugate or negated view"},
		{write(untyped(47, "uint32"), nil), "damaged data.pkl"},
		{write(untyped(48, "complex64"), nil), "refused: data.pkl asks for torch.complex64"},
		{write(dict, nil), "two tensors of the name a.b"},
		{write(one(missing), nil), "its numbers are missing: there is no member data/1"},
		{write(one(short), nil), "48 bytes, where 13 float32 should be"},
		{write(one(float(0, nil, nil)), func(m map[string][]byte) { m["byteorder"] = []byte("middle") }), `byte order "middle" is unknown`},
		{write(append(one(float(0, nil, nil)), make([]byte, maxPickle)...), nil), "more than 2097152; write fewer tensors"},
		{writeFile(t, "old.pt", []byte("\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.")), "old format, which is not read; convert it: python3 -c"},
		{writeFile(t, "x.pkl", []byte("\x80\x04\x95")), "a pickle, which may run programs"},
		{writeFile(t, "x.pt", nil), "not a torch file"},
	} {
		_, err := Open(c.path)
		require.ErrorContains(t, err, c.want)
		require.ErrorContains(t, err, Quote(c.path))
		require.NotContains(t, err.Error(), "\n")
		require.NotContains(t, err.Error(), "\x1b")
	}
	// A sum that is wrong.
	file = buildTorch(t, one(float(0, []int{12}, []int{1})), zip.Store, map[string][]byte{"data/0": storage})
	require.Contains(t, string(file), string(storage))
	file = bytes.Replace(file, storage[:8], []byte{1, 2, 3, 4, 5, 6, 7, 8}, 1)
	_, err = Open(writeFile(t, "x.pt", file))
	require.ErrorContains(t, err, "do not agree with their checksum")
}
