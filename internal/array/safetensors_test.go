package array

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// simpleTensors is an independent reader of safetensors: it takes some files
// that are damaged.
func simpleTensors(b []byte) (shapes map[string][]int, values map[string][]float64, ok bool) {
	if len(b) < 8 {
		return nil, nil, false
	}
	n := binary.LittleEndian.Uint64(b)
	if n > uint64(len(b)-8) {
		return nil, nil, false
	}
	var header map[string]json.RawMessage
	if json.Unmarshal(b[8:8+n], &header) != nil {
		return nil, nil, false
	}
	data := b[8+n:]
	shapes, values = map[string][]int{}, map[string][]float64{}
	for name, raw := range header {
		if name == "__metadata__" {
			continue
		}
		var t struct {
			DType   string   `json:"dtype"`
			Shape   []int    `json:"shape"`
			Offsets []uint64 `json:"data_offsets"`
		}
		if json.Unmarshal(raw, &t) != nil || len(t.Offsets) != 2 || t.Offsets[0] > t.Offsets[1] || t.Offsets[1] > uint64(len(data)) {
			return nil, nil, false
		}
		code := map[string]string{"BOOL": "b1", "I8": "i1", "U8": "u1", "I16": "i2", "U16": "u2", "I32": "i4", "U32": "u4", "I64": "i8", "U64": "u8",
			"F16": "f2", "BF16": "V2", "F32": "f4", "F64": "f8"}[t.DType]
		decode, size := simpleType(code, binary.LittleEndian)
		if decode == nil {
			continue
		}
		list := []float64{}
		for part := range slices.Chunk(data[t.Offsets[0]:t.Offsets[1]], size) {
			if len(part) < size {
				return nil, nil, false
			}
			list = append(list, decode(part))
		}
		shapes[name], values[name] = t.Shape, list
	}
	return shapes, values, true
}

// tensorSpec is a tensor for buildTensors.
type tensorSpec struct {
	name, dtype string
	shape       []int
	data        []byte
}

// buildTensors makes a safetensors file, with so many blanks after the header.
func buildTensors(blanks int, list ...tensorSpec) []byte {
	var header strings.Builder
	header.WriteString(`{"__metadata__":{"format":"pt"}`)
	at := 0
	var data []byte
	for _, t := range list {
		shape, _ := json.Marshal(append([]int{}, t.shape...))
		name, _ := json.Marshal(t.name)
		fmt.Fprintf(&header, `,%s:{"dtype":%q,"shape":%s,"data_offsets":[%d,%d]}`, name, t.dtype, shape, at, at+len(t.data))
		at += len(t.data)
		data = append(data, t.data...)
	}
	header.WriteString("}" + strings.Repeat(" ", blanks))
	b := binary.LittleEndian.AppendUint64(nil, uint64(header.Len()))
	return append(append(b, header.String()...), data...)
}

// streamOf is a file that can be read only once.
func streamOf(name string, file []byte) *Input {
	in := &Input{Name: name, size: -1, r: newBuffered(bytes.NewReader(file))}
	in.Format, _ = formatOf(file[:min(len(file), headSize)])
	return in
}

// FuzzSafetensors reads tensors of all types as the simple reader does, mapped
// and as a stream; a file of which a byte is changed, or that is cut, is read
// as the same, or an error.
func FuzzSafetensors(f *testing.F) {
	var types []string
	for name := range tensorTypes {
		types = append(types, name)
	}
	slices.Sort(types)
	for kind := range types {
		f.Add(uint8(kind), uint8(0x34), uint8(kind), []byte{1, 0, 255, 7}, uint16(0), uint8(0))
	}
	f.Add(uint8(3), uint8(0x34), uint8(3), []byte{1, 0, 255, 7}, uint16(30), uint8(4))
	f.Add(uint8(3), uint8(0x34), uint8(3), []byte{1, 0, 255, 7}, uint16(200), uint8(255))
	f.Fuzz(func(t *testing.T, kind, dims, blanks uint8, data []byte, at uint16, change uint8) {
		var list []tensorSpec
		for i, shape := range [][]int{{}, {int(dims >> 4), int(dims & 15)}, {int(dims >> 5), 0, 3}, {int(dims & 7)}} {
			dtype := types[(int(kind)+i)%len(types)]
			spec := tensorSpec{name: []string{"a", "b.c", "ü\n", ""}[i], dtype: dtype, shape: shape}
			for i := range product(shape) * tensorTypes[dtype].Size() {
				v := byte(i * 37)
				if len(data) > 0 {
					v = data[i%len(data)]
				}
				spec.data = append(spec.data, v)
			}
			list = append(list, spec)
		}
		file := buildTensors(int(blanks%16), list...)
		if change != 0 {
			if i := int(at) % len(file); change == 255 {
				file = file[:i]
			} else {
				file[i] ^= change
			}
		}
		in, err := OpenInput(writeFile(t, "x", file))
		if err != nil || in.Format != Safetensors {
			require.NotZero(t, change, "%v", err)
			return
		}
		defer in.Close()
		shapes, values, ok := simpleTensors(file)
		c, err := in.safetensors()
		if err != nil {
			require.NotZero(t, change, "%v", err)
			return
		}
		require.True(t, ok, "the simple reader finds it damaged: %q", file)
		for _, key := range c.Keys() {
			if values[key] == nil {
				_, err := c.Open(key)
				require.ErrorContains(t, err, "is not supported")
				continue
			}
			stream, err := streamOf("x", file).safetensors()
			require.NoError(t, err)
			for _, c := range []Container{c, stream} {
				a, err := c.Open(key)
				require.NoError(t, err)
				require.Equal(t, append([]int{}, shapes[key]...), append([]int{}, a.Shape...))
				sameValues(t, values[key], append([]float64{}, All[float64](a)...))
				require.NoError(t, a.Close())
			}
		}
	})
}

// TestSafetensors: the one tensor needs no name, float32 is not copied, and what
// is wrong with a file is said.
func TestSafetensors(t *testing.T) {
	four := []byte{0, 0, 128, 63}
	one := tensorSpec{"logits", "F32", []int{2, 1}, slices.Concat(four, four)}
	path := writeFile(t, "x.safetensors", buildTensors(0, one))
	for _, name := range []string{path, path + ":logits"} {
		a, err := Open(name)
		require.NoError(t, err)
		require.Equal(t, []int{2, 1}, a.Shape)
		require.Equal(t, path+":logits", a.Name)
		require.Equal(t, []float64{1, 1}, All[float64](a))
		require.NoError(t, a.Close())
	}
	for blanks := range 8 {
		file := buildTensors(blanks, one)
		a, err := Open(writeFile(t, "x", file))
		require.NoError(t, err)
		require.Equal(t, []float32{1, 1}, All[float32](a))
		_, viewed := View[float32](a, 0, 2)
		require.Equal(t, hostLittleEndian && a.mapped && (len(file)-8)%4 == 0, viewed, "where it lies, if aligned")
		require.NoError(t, a.Close())
	}
	header := func(s string) []byte {
		return append(binary.LittleEndian.AppendUint64(nil, uint64(len(s))), s...)
	}
	for _, c := range []struct {
		file []byte
		want string
	}{
		{[]byte("hello"), "not a safetensors file"},
		{nil, "not a safetensors file"},
		{buildTensors(0, one)[:20], "truncated: a header of 92 bytes, but only 12 are there"},
		{binary.LittleEndian.AppendUint64(nil, 100), "no format that is read: it begins with"},
		{append(binary.LittleEndian.AppendUint64(nil, 1<<30), '{', '}'), "header of 1073741824 bytes, more than 65536"},
		{buildTensors(0, one)[:100], "truncated: the header says 8 bytes of tensors, but only"},
		{append(buildTensors(0, one), 0), "more bytes follow the tensors"},
		{header("{"), "damaged safetensors header"},
		{header("{}{}"), "damaged safetensors header"},
		{header(`{"__metadata__":{"a":{"b":1}}}`), "damaged safetensors header"},
		{header(`{"a":[` + strings.Repeat("[", 4000)), `tensor a: damaged safetensors header`},
		{header(`{}`), "no arrays in it"},
		{header(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`), "tensor a: 4 bytes for float32 2, which takes 8"},
		{header(`{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,4]}}`), "damaged"},
		{header(`{"a":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}}`), "damaged"},
		{header(`{"a":{"dtype":"F32","shape":[2147483647,2147483647,2147483647],"data_offsets":[0,0]}}`), "larger than any file"},
		{header(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}`), "damaged"},
		{header(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}}`), "damaged"},
		{header(`{"a":{"dtype":"F32","shape":[1]}}`), "damaged"},
		{append(header(`{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}`), 1, 2, 3, 4), "the data of a and b overlap"},
		{append(header(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}`), 1, 2, 3, 4), "before the data of b: 1 byte of no tensor"},
		{append(header(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`), 1, 2), "two tensors of the name a"},
		{append(header(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`), 1, 2), `several arrays: a, b; choose one by its name`},
		{append(header(`{"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}`), 1), `tensor type F8_E4M3 is not supported`},
	} {
		path := writeFile(t, "x.safetensors", c.file)
		_, err := Open(path)
		require.ErrorContains(t, err, c.want)
		require.ErrorContains(t, err, path)
		require.NotContains(t, err.Error(), "\n")
		if in := streamOf("pipe", c.file); in.Format == Safetensors {
			_, err := in.Array("", CSVOptions{})
			require.ErrorContains(t, err, c.want, "as a stream")
		}
	}
	_, err := Open(path + ":other")
	require.ErrorContains(t, err, `no array "other"; there are: logits`)
}
