package main

import (
	"bytes"
	"encoding"
	le "encoding/binary"
	"encoding/json"
	"hash/crc32"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestHostilePartial: a partial result of which a byte was changed, with the checksums
// that it then needs, is an error, or one that can be merged and reported; cut off
// anywhere it is an error.
func TestHostilePartial(t *testing.T) {
	dir := t.TempDir()
	const rows, n = 7, 3
	example[float32](t, dir, rows, n)
	save(t, dir, "H.npy", []int{rows, n}, make([]float32, rows*n))
	save(t, dir, "W.npy", []int{rows}, []float64{1, 2, 0.5, 1, 1, 0, 3})
	soft, ones := make([]float32, rows*n), make([]float32, rows*n)
	for i := range soft {
		soft[i], ones[i] = float32(i%5)/4, 1
	}
	save(t, dir, "F.npy", []int{rows, n}, soft)
	save(t, dir, "O.npy", []int{rows, n}, ones)
	t.Chdir(dir)
	seal := func(data []byte) {
		n := len(data) - 4
		le.LittleEndian.PutUint32(data[n:], crc32.Checksum(data[:n], crc32.MakeTable(crc32.Castagnoli)))
	}
	taken := 0
	for _, args := range []string{"Y.npy --loss zlpr,bce --metrics micro_f1,macro_f1,lrap,micro_auc --classes 2", "H.npy --loss bce --metrics none",
		"Y.npy --loss zlpr --metrics macro_auc,micro_auc --area-bits 8 --row-weights W.npy",
		"F.npy --loss all --row-weights W.npy", "O.npy --loss softmax --metrics none --reduction mean-classes"} {
		must(t, dir, append([]string{"eval", "S.npy", "--partial", "p.zlpr"}, append([]string{"--labels"}, strings.Fields(args)...)...)...)
		whole, err := os.ReadFile("p.zlpr")
		require.NoError(t, err)
		p, err := decodePartial("p.zlpr", whole)
		require.NoError(t, err)
		var frames [][2]int // within the whole, from the innermost out
		frame := func(m encoding.BinaryMarshaler) {
			b, err := m.MarshalBinary()
			require.NoError(t, err)
			at := bytes.Index(whole, b)
			require.GreaterOrEqual(t, at, 0)
			frames = append(frames, [2]int{at, at + len(b)})
		}
		for _, p := range []*partialResult{p, p.asSoft} {
			if p == nil {
				continue
			}
			for i := range p.losses {
				frame(&p.losses[i].Total)
			}
			for _, m := range []measurer{p.measured, p.pictured} {
				if m != nil {
					frame(m)
				}
			}
			if p.shared != nil {
				frame(p.shared)
			}
		}
		if p.asSoft != nil {
			b, err := p.asSoft.encode()
			require.NoError(t, err)
			at := bytes.Index(whole, b)
			frames = append(frames, [2]int{at, at + len(b)})
		}
		frames = append(frames, [2]int{0, len(whole)})
		for at := range whole {
			short := bytes.Clone(whole[:at])
			_, err := decodePartial("p.zlpr", short)
			require.Error(t, err, "%d bytes", at)
			if at > 4 {
				seal(short)
				_, err := decodePartial("p.zlpr", short)
				require.True(t, err != nil || p.asSoft != nil || p.assumed, "%d bytes", at) // how labels may be soft is at the end
			}
			for _, v := range [][]byte{{whole[at] ^ 1}, {whole[at] ^ 0x80, 0}, {0xff}}[at%3] {
				data := bytes.Clone(whole)
				data[at] = v
				for _, f := range frames {
					if f[0] <= at && at < f[1] {
						seal(data[f[0]:f[1]])
					}
				}
				if _, err := decodePartial("p.zlpr", data); err != nil {
					continue
				}
				taken++
				require.NoError(t, os.WriteFile("bad.zlpr", data, 0o644))
				var out, errs bytes.Buffer
				switch status := newSession(&out, &errs).run([]string{"merge", "--json", "bad.zlpr"}); status {
				case 0:
					require.True(t, json.Valid(out.Bytes()), "byte %d is %d: %s", at, v, &out)
				default:
					require.Regexp(t, `^zlpr: [^\n]*bad\.zlpr[^\n]*\n$`, errs.String(), "byte %d is %d", at, v)
				}
			}
		}
	}
	t.Logf("%d were taken", taken)
	require.Greater(t, taken, 500)
}
