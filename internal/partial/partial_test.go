package partial

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"strings"
	"testing"
)

// sample is a partial result of everything that can be written.
func sample() []byte {
	w := NewWriter(Total)
	for _, x := range []uint64{0, 1, 127, 128, math.MaxUint64} {
		w.Uint(x)
	}
	for _, x := range []int64{0, -1, 1, math.MinInt64, math.MaxInt64} {
		w.Int(x)
	}
	w.Count(3)
	w.Word(1 << 63)
	w.Float(math.Copysign(0, -1))
	w.Float32(1.5)
	w.Bool(true)
	w.Text("café")
	w.Block([]byte{1, 2})
	return w.Bytes()
}

func TestRoundTrip(t *testing.T) {
	r, err := NewReader(sample(), Total)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []uint64{0, 1, 127, 128, math.MaxUint64} {
		if got := r.Uint(); got != want {
			t.Errorf("%d, want %d", got, want)
		}
	}
	for _, want := range []int64{0, -1, 1, math.MinInt64, math.MaxInt64} {
		if got := r.Int(); got != want {
			t.Errorf("%d, want %d", got, want)
		}
	}
	if n := r.Count(); n != 3 {
		t.Error(n)
	}
	if r.Word() != 1<<63 || math.Float64bits(r.Float()) != 1<<63 || r.Float32() != 1.5 || !r.Bool() || r.Text() != "café" || !bytes.Equal(r.Block(), []byte{1, 2}) {
		t.Error("not what was written")
	}
	if err := r.End(); err != nil {
		t.Error(err)
	}
}

// reseal returns data with its checksum made right.
func reseal(data []byte) []byte {
	n := len(data) - footer
	return binary.LittleEndian.AppendUint32(bytes.Clone(data[:n]), crc32.Checksum(data[:n], castagnoli))
}

// TestRefused: what is no partial result of this program is an error that says
// what it is.
func TestRefused(t *testing.T) {
	good := sample()
	changed := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[at] = to
		return b
	}
	for what, c := range map[string]struct {
		data []byte
		want string
	}{
		"nothing":     {nil, "no partial result"},
		"foreign":     {[]byte("\x93NUMPY hello, what a long text this is"), "no partial result"},
		"cut":         {good[:len(good)-1], "cut off or damaged"},
		"head":        {good[:8], "cut off"},
		"a bit":       {changed(15, 200), "cut off or damaged"},
		"newer":       {changed(5, Version+1), "format version 2, newer than this program"},
		"older":       {reseal(changed(5, 0)), "damaged"},
		"other bits":  {reseal(changed(7, Specification+1)), fmt.Sprintf("specification %d of the kernels, this program has specification %d", Specification+1, Specification)},
		"other kind":  {reseal(changed(4, byte(Tuner))), "a tuner, not a total of losses"},
		"no kind":     {reseal(changed(4, 99)), "results of kind 99, not"},
		"longer":      {append(bytes.Clone(good), 0), "cut off or damaged"},
		"only a head": {good[:header], "cut off"},
	} {
		_, err := NewReader(c.data, Total)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", what, err, c.want)
		}
	}
}

// TestDamagedBody: numbers that cannot be are errors, and lists are no longer
// than the bytes that are left.
func TestDamagedBody(t *testing.T) {
	for what, c := range map[string]struct {
		body []byte
		read func(r *Reader)
	}{
		"two spellings": {[]byte{0x80, 0}, func(r *Reader) { r.Uint() }},
		"too long":      {bytes.Repeat([]byte{0xff}, 11), func(r *Reader) { r.Uint() }},
		"a bool of 2":   {[]byte{2}, func(r *Reader) { r.Bool() }},
		"too many":      {[]byte{0xff, 0xff, 0xff, 0x7f, 1, 2}, func(r *Reader) { r.Length(1) }},
		"huge":          {binary.AppendUvarint(nil, 1<<63), func(r *Reader) { r.Count() }},
		"short word":    {[]byte{1, 2, 3}, func(r *Reader) { r.Word() }},
		"short text":    {[]byte{5, 'a'}, func(r *Reader) { _ = r.Text() }},
		"rest":          {[]byte{1}, func(*Reader) {}},
		"no bool":       {nil, func(r *Reader) { r.Bool() }},
	} {
		r := &Reader{b: c.body}
		c.read(r)
		if r.End() == nil {
			t.Errorf("%s: no error", what)
		}
	}
}
