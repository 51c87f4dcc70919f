//go:build unix

package array

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestGuard: a mapped file that becomes shorter is an error that names it, also
// where deferred functions have closed it; other panics go on.
func TestGuard(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("SKIPPED: emulators of other architectures do not tell the address of a bus error, by which the runtime knows one from a nil pointer")
	}
	path := writeFile(t, "x.npy", append(format(Uint8, []int{1 << 20}), make([]byte, 1<<20)...))
	a, err := Open(path)
	require.NoError(t, err)
	read := func() error {
		sum := int64(0)
		for _, v := range All[int64](a) {
			sum += v
		}
		return nil
	}
	require.NoError(t, Guard(read))
	require.NoError(t, os.Truncate(path, 8192))
	err = Guard(read)
	require.ErrorContains(t, err, Quote(path)+": ")
	require.ErrorContains(t, err, "the file became shorter")
	require.ErrorContains(t, err, "cannot be read from byte 8192 on")
	require.Equal(t, err, Guard(func() error {
		defer a.Close()
		return read()
	}))
	require.PanicsWithValue(t, "other", func() { _ = Guard(func() error { panic("other") }) })
	require.Panics(t, func() {
		_ = Guard(func() error {
			var p *Array
			p.Name = ""
			return nil
		})
	})
}

// TestShorterText: a text file that becomes shorter while it is read is an
// error, not fewer rows.
func TestShorterText(t *testing.T) {
	text := make([]byte, 0, 1<<20)
	for range 1 << 18 {
		text = append(text, "1,2\n"...)
	}
	path := writeFile(t, "x.csv", text)
	in, err := OpenInput(path)
	require.NoError(t, err)
	defer in.Close()
	require.NoError(t, os.Truncate(path, 1<<19))
	_, err = in.Array("", CSVOptions{})
	require.ErrorContains(t, err, "x.csv: ends after 524288 of 1048576 bytes: the file became shorter")
}

// TestShardFaults: more files than are remembered when they are closed can be
// mapped at a time, and each is named when it becomes shorter.
func TestShardFaults(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("SKIPPED: emulators of other architectures do not tell the address of a bus error")
	}
	dir := t.TempDir()
	var parts []*Array
	content := append(format(Uint8, []int{64 << 10}), make([]byte, 64<<10)...)
	for k := range 1500 {
		path := filepath.Join(dir, string(rune('a'+k%26))+string(rune('a'+k/26%26))+string(rune('a'+k/676))+".npy")
		require.NoError(t, os.WriteFile(path, content, 0o644))
		a, err := Open(path)
		require.NoError(t, err)
		parts = append(parts, a)
	}
	a, err := Concat("all", parts)
	require.NoError(t, err)
	defer a.Close()
	require.NoError(t, os.Truncate(parts[3].Name, 100))
	err = Guard(func() error {
		Read[float64](a, nil, 3<<16, 4<<16)
		return nil
	})
	require.ErrorContains(t, err, Quote(parts[3].Name)+": ")
}
