package array

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// A pickleReader reads the pickles that torch.save writes. A pickle is a program
// for a stack of values. This reader knows those instructions that make numbers,
// texts, tuples, lists and dictionaries, and a fixed list of names for which it
// makes tensors and their storages: it calls nothing, and refuses all other
// names.
//
// Values are nil, bool, int64, float64, string, *pyList, *pyDict, pyName,
// *pyStorage, *pyTensor, and pyOther.
type pickleReader struct {
	b     []byte // what is left
	stack []any
	marks []int // places in the stack
	memo  []any
	size  int // of the pickle
	steps int
}

// A pyList is a list or a tuple.
type pyList struct {
	items []any
	tuple bool
}

// A pyDict is a dictionary, in the order in which it was filled.
type pyDict struct{ keys, values []any }

// A pyName is a name of a module that is known.
type pyName string

// A pyOther is a value of which nothing is known but that it is there.
type pyOther struct{}

// A pyStorage is what tensors are views of: a member of the archive.
type pyStorage struct {
	dtype DType
	bytes bool // the type is unknown, and size is in bytes
	key   string
	size  int64 // elements
}

// A pyTensor is a view of a storage.
type pyTensor struct {
	pyStorage
	offset         int64
	shape, strides []int
}

var errPickle = errors.New("damaged data.pkl; write the file again with torch.save")

// storageTypes are the classes of storages, by the types of their elements.
var storageTypes = map[pyName]DType{
	"torch.FloatStorage": Float32, "torch.DoubleStorage": Float64, "torch.HalfStorage": Float16, "torch.BFloat16Storage": BFloat16,
	"torch.BoolStorage": Bool, "torch.ByteStorage": Uint8, "torch.CharStorage": Int8, "torch.ShortStorage": Int16,
	"torch.IntStorage": Int32, "torch.LongStorage": Int64,
}

// elementTypes are torch's types of elements.
var elementTypes = map[pyName]DType{
	"torch.float32": Float32, "torch.float64": Float64, "torch.float16": Float16, "torch.bfloat16": BFloat16, "torch.bool": Bool,
	"torch.uint8": Uint8, "torch.int8": Int8, "torch.int16": Int16, "torch.uint16": Uint16, "torch.int32": Int32, "torch.uint32": Uint32,
	"torch.int64": Int64, "torch.uint64": Uint64,
}

// otherNames are the other names that are known.
var otherNames = map[pyName]bool{
	"torch.storage.UntypedStorage": true, "torch.UntypedStorage": true,
	"torch._utils._rebuild_tensor": true, "torch._utils._rebuild_tensor_v2": true, "torch._utils._rebuild_tensor_v3": true,
	"torch._utils._rebuild_parameter": true, "torch._utils._rebuild_parameter_with_state": true,
	"collections.OrderedDict": true, "torch.Size": true, "torch.device": true,
}

// readPickle returns the value that a pickle is.
func readPickle(b []byte) (any, error) {
	p := &pickleReader{b: b, size: len(b)}
	for {
		if p.steps++; p.steps > maxValues {
			return nil, errNested
		}
		op, ok := p.take(1)
		if !ok {
			return nil, errPickle
		}
		if op[0] == '.' {
			if len(p.stack) != 1 || len(p.marks) != 0 {
				return nil, errPickle
			}
			return p.stack[0], nil
		}
		if err := p.do(op[0]); err != nil {
			return nil, err
		}
	}
}

// take takes n bytes.
func (p *pickleReader) take(n uint64) ([]byte, bool) {
	if n > uint64(len(p.b)) {
		return nil, false
	}
	b := p.b[:n]
	p.b = p.b[n:]
	return b, true
}

// number takes a little-endian number of n bytes, at most 8.
func (p *pickleReader) number(n uint64) (x uint64, ok bool) {
	b, ok := p.take(n)
	if !ok {
		return 0, false
	}
	var wide [8]byte
	copy(wide[:], b)
	return binary.LittleEndian.Uint64(wide[:]), true
}

// counted takes bytes whose number stands before them, in n bytes.
func (p *pickleReader) counted(n uint64) ([]byte, bool) {
	length, ok := p.number(n)
	if !ok {
		return nil, false
	}
	return p.take(length)
}

func (p *pickleReader) push(v any) { p.stack = append(p.stack, v) }

// pop takes n values from the stack, above the last mark.
func (p *pickleReader) pop(n int) ([]any, bool) {
	least := 0
	if len(p.marks) > 0 {
		least = p.marks[len(p.marks)-1]
	}
	at := len(p.stack) - n
	if at < least {
		return nil, false
	}
	top := p.stack[at:]
	p.stack = p.stack[:at]
	return top, true
}

// popMark takes the last mark and what is above it.
func (p *pickleReader) popMark() ([]any, bool) {
	if len(p.marks) == 0 {
		return nil, false
	}
	last := len(p.marks) - 1
	at := p.marks[last]
	p.marks = p.marks[:last]
	top := p.stack[at:]
	p.stack = p.stack[:at]
	return top, true
}

// top is the value on top of the stack.
func (p *pickleReader) top() (any, bool) {
	v, ok := p.pop(1)
	if !ok {
		return nil, false
	}
	p.push(v[0])
	return v[0], true
}

// do carries out an instruction.
func (p *pickleReader) do(op byte) error {
	ok := true
	switch op {
	case 0x80: // PROTO
		_, ok = p.take(1)
	case 0x95: // FRAME
		_, ok = p.take(8)
	case '(': // MARK
		p.marks = append(p.marks, len(p.stack))
	case '0': // POP
		_, ok = p.pop(1)
	case '1': // POP_MARK
		_, ok = p.popMark()
	case 'N': // NONE
		p.push(nil)
	case 0x88, 0x89: // NEWTRUE, NEWFALSE
		p.push(op == 0x88)
	case 'K', 'M', 'J', 0x8a, 0x8b, 'G':
		ok = p.pushNumber(op)
	case 'X', 0x8c, 0x8d, 'U', 'T', 'B', 'C', 0x8e, 0x96:
		ok = p.pushText(op)
	case ']', ')': // EMPTY_LIST, EMPTY_TUPLE
		p.push(&pyList{tuple: op == ')'})
	case '}': // EMPTY_DICT
		p.push(&pyDict{})
	case 0x8f: // EMPTY_SET
		p.push(pyOther{})
	case 't', 0x85, 0x86, 0x87, 'a', 'e', 's', 'u', 0x90, 0x91:
		ok = p.collect(op)
	case 'q', 'r', 0x94, 'h', 'j':
		ok = p.remember(op)
	case 'c', 0x93:
		return p.name(op)
	case 'R': // REDUCE
		return p.call()
	case 'b': // BUILD: an OrderedDict may have attributes, such as _metadata
		if v, some := p.pop(2); some {
			if _, ok = v[0].(*pyDict); ok {
				p.push(v[0])
			}
		} else {
			ok = false
		}
	case 'Q': // BINPERSID
		ok = p.storage()
	default:
		return fmt.Errorf("data.pkl has the instruction %#02x, which torch.save does not write; write the file again with torch.save", op)
	}
	if !ok {
		return errPickle
	}
	return nil
}

// pushNumber pushes the number that an instruction has.
func (p *pickleReader) pushNumber(op byte) bool {
	size := map[byte]uint64{'K': 1, 'M': 2, 'J': 4, 'G': 8}[op] // BININT1, BININT2, BININT, BINFLOAT
	if size == 0 {                                              // LONG1, LONG4: two's complement of any length
		b, ok := p.counted(map[byte]uint64{0x8a: 1, 0x8b: 4}[op])
		switch {
		case !ok:
			return false
		case len(b) > 8:
			p.push(pyOther{})
			return true
		case len(b) == 0:
			p.push(int64(0))
			return true
		}
		var wide [8]byte
		copy(wide[8-len(b):], b)
		p.push(int64(binary.LittleEndian.Uint64(wide[:])) >> (8 * (8 - len(b))))
		return true
	}
	b, ok := p.take(size)
	if !ok {
		return false
	}
	switch op {
	case 'K':
		p.push(int64(b[0]))
	case 'M':
		p.push(int64(binary.LittleEndian.Uint16(b)))
	case 'J':
		p.push(int64(int32(binary.LittleEndian.Uint32(b))))
	case 'G':
		p.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
	}
	return true
}

// pushText pushes the text, or the bytes, that an instruction has.
func (p *pickleReader) pushText(op byte) bool {
	size := map[byte]uint64{'X': 4, 0x8c: 1, 0x8d: 8, 'U': 1, 'T': 4, 'B': 4, 'C': 1, 0x8e: 8, 0x96: 8}[op]
	b, ok := p.counted(size)
	if !ok {
		return false
	}
	switch op {
	case 'X', 0x8c, 0x8d, 'U', 'T': // UNICODE and STRING
		p.push(string(b))
	default: // BYTES
		p.push(pyOther{})
	}
	return true
}

// collect puts values into a tuple, a list, a dictionary or a set.
func (p *pickleReader) collect(op byte) bool {
	var items []any
	var ok bool
	switch op {
	case 0x85, 0x86, 0x87: // TUPLE1, TUPLE2, TUPLE3
		items, ok = p.pop(int(op - 0x84))
	case 'a': // APPEND
		items, ok = p.pop(1)
	case 's': // SETITEM
		items, ok = p.pop(2)
	default: // TUPLE, APPENDS, SETITEMS, ADDITEMS, FROZENSET
		items, ok = p.popMark()
	}
	if !ok {
		return false
	}
	switch op {
	case 't', 0x85, 0x86, 0x87:
		p.push(&pyList{append([]any(nil), items...), true})
		return true
	case 0x91:
		p.push(pyOther{})
		return true
	}
	to, ok := p.top()
	if !ok {
		return false
	}
	switch to := to.(type) {
	case *pyList:
		if ok = !to.tuple && (op == 'a' || op == 'e'); ok {
			to.items = append(to.items, items...)
		}
	case *pyDict:
		if ok = (op == 's' || op == 'u') && len(items)%2 == 0; ok {
			for i := 0; i < len(items); i += 2 {
				to.keys, to.values = append(to.keys, items[i]), append(to.values, items[i+1])
			}
		}
	case pyOther:
		ok = op == 0x90
	default:
		ok = false
	}
	return ok
}

// remember keeps the value on top under a number, or pushes the one of a number.
func (p *pickleReader) remember(op byte) bool {
	at, ok := uint64(len(p.memo)), true
	switch op {
	case 'q', 'h': // BINPUT, BINGET
		at, ok = p.number(1)
	case 'r', 'j': // LONG_BINPUT, LONG_BINGET
		at, ok = p.number(4)
	}
	if !ok {
		return false
	}
	if op == 'h' || op == 'j' {
		if at >= uint64(len(p.memo)) || p.memo[at] == nil {
			return false
		}
		p.push(p.memo[at])
		return true
	}
	v, ok := p.top()
	if !ok || v == nil || at >= uint64(p.size) { // one for a value at most
		return false
	}
	for uint64(len(p.memo)) <= at {
		p.memo = append(p.memo, nil)
	}
	p.memo[at] = v
	return true
}

// name pushes a name of a module, if it is known.
func (p *pickleReader) name(op byte) error {
	var module, name string
	if op == 'c' { // GLOBAL
		for _, to := range []*string{&module, &name} {
			i := bytes.IndexByte(p.b, '\n')
			if i < 0 {
				return errPickle
			}
			*to = string(p.b[:i])
			p.b = p.b[i+1:]
		}
	} else { // STACK_GLOBAL
		v, ok := p.pop(2)
		if !ok {
			return errPickle
		}
		m, ok1 := v[0].(string)
		n, ok2 := v[1].(string)
		if !ok1 || !ok2 {
			return errPickle
		}
		module, name = m, n
	}
	full := pyName(module + "." + name)
	_, isStorage := storageTypes[full]
	_, isElement := elementTypes[full]
	if !isStorage && !isElement && !otherNames[full] {
		return fmt.Errorf("refused: data.pkl asks for %s, which is none of tensors, dictionaries and lists; write only these with torch.save", Quote(short(string(full))))
	}
	p.push(full)
	return nil
}

// call makes what a call of a known name would.
func (p *pickleReader) call() error {
	v, ok := p.pop(2)
	if !ok {
		return errPickle
	}
	name, ok1 := v[0].(pyName)
	args, ok2 := v[1].(*pyList)
	if !ok1 || !ok2 {
		return errPickle
	}
	switch name {
	case "collections.OrderedDict":
		if len(args.items) > 0 {
			return errPickle
		}
		p.push(&pyDict{})
	case "torch.Size", "torch.device":
		p.push(pyOther{})
	case "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state":
		if len(args.items) == 0 {
			return errPickle
		}
		p.push(args.items[0])
	case "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3":
		t, err := rebuildTensor(name, args.items)
		if err != nil {
			return err
		}
		p.push(t)
	default:
		return errPickle
	}
	return nil
}

// rebuildTensor returns a view of a storage: of the arguments storage, offset,
// size, stride, requires_grad, backward_hooks, in version 3 the type, and
// metadata.
func rebuildTensor(name pyName, args []any) (*pyTensor, error) {
	if len(args) < 4 {
		return nil, errPickle
	}
	s, ok1 := args[0].(*pyStorage)
	offset, ok2 := args[1].(int64)
	shape, ok3 := sizes(args[2])
	strides, ok4 := sizes(args[3])
	if !ok1 || !ok2 || !ok3 || !ok4 || offset < 0 || len(shape) != len(strides) || len(shape) > maxAxes {
		return nil, errPickle
	}
	t := &pyTensor{*s, offset, shape, strides}
	rest := args[4:]
	if name == "torch._utils._rebuild_tensor_v3" {
		if len(rest) < 3 {
			return nil, errPickle
		}
		element, _ := rest[2].(pyName)
		var ok bool
		if t.dtype, ok = elementTypes[element]; !ok || !t.bytes || t.size%int64(t.dtype.Size()) != 0 {
			return nil, errPickle
		}
		t.bytes, t.size = false, t.size/int64(t.dtype.Size())
		rest = rest[1:]
	}
	if t.bytes {
		return nil, errPickle
	}
	if len(rest) > 2 {
		if metadata, ok := rest[2].(*pyDict); ok {
			for _, v := range metadata.values {
				if v == true {
					return nil, errors.New("a tensor that is a conjugate or negated view; write it with .resolve_conj().resolve_neg()")
				}
			}
		}
	}
	return t, t.check()
}

// check checks that the tensor lies within its storage.
func (t *pyTensor) check() error {
	h := header{dtype: t.dtype, shape: t.shape}
	if _, err := h.length(); err != nil {
		return err
	}
	count := product(t.shape)
	if count == 0 {
		return nil
	}
	last := t.offset
	for axis, n := range t.shape {
		if stride := t.strides[axis]; n > 1 && stride > 0 {
			if last >= t.size || int64(stride) > (t.size-1-last)/int64(n-1) {
				return errPickle
			}
			last += int64(n-1) * int64(stride)
		}
	}
	if last >= t.size {
		return errPickle
	}
	if int64(count) > t.size && !Justified(float64(count), float64(t.size)) {
		return fmt.Errorf("a tensor of shape %s that repeats %d numbers; write it with .contiguous()", ShapeString(t.shape), t.size)
	}
	return nil
}

// sizes returns integers of at least 0 that stand in a tuple.
func sizes(v any) ([]int, bool) {
	list, ok := v.(*pyList)
	if !ok {
		return nil, false
	}
	out := make([]int, 0, len(list.items))
	for _, item := range list.items {
		n, ok := item.(int64)
		if !ok || n < 0 || int64(int(n)) != n {
			return nil, false
		}
		out = append(out, int(n))
	}
	return out, true
}

// storage makes a storage of the tuple that stands for one: "storage", its
// class, its name, its device and its size.
func (p *pickleReader) storage() bool {
	v, ok := p.pop(1)
	if !ok {
		return false
	}
	id, ok := v[0].(*pyList)
	if !ok || len(id.items) != 5 || id.items[0] != "storage" {
		return false
	}
	class, ok1 := id.items[1].(pyName)
	key, ok2 := id.items[2].(string)
	size, ok3 := id.items[4].(int64)
	if !ok1 || !ok2 || !ok3 || size < 0 || size > math.MaxInt64/16 {
		return false
	}
	s := &pyStorage{key: key, size: size}
	if s.dtype, ok = storageTypes[class]; !ok {
		s.bytes = class == "torch.storage.UntypedStorage" || class == "torch.UntypedStorage"
		if !s.bytes {
			return false
		}
	}
	p.push(s)
	return true
}
