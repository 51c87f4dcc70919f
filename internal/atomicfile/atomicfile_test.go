package atomicfile

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func names(t *testing.T, dir string) (names []string) {
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestCommit: files have their names all together, or none of them.
func TestCommit(t *testing.T) {
	dir := t.TempDir()
	create := func(name string) *File {
		f, err := Create(filepath.Join(dir, name))
		require.NoError(t, err)
		_, err = f.Write([]byte(name))
		require.NoError(t, err)
		return f
	}
	a, b := create("a"), create("b")
	require.NotContains(t, names(t, dir), "a")
	require.NoError(t, Commit(a, b))
	require.Equal(t, []string{"a", "b"}, names(t, dir))
	a.Abort() // too late
	require.FileExists(t, filepath.Join(dir, "a"))

	c, d, e := create("c"), create("d"), create("e")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "d"), 0o755)) // takes the name away
	err := Commit(c, d, e)
	require.Error(t, err)
	require.NotContains(t, err.Error(), ".tmp")
	require.Contains(t, err.Error(), filepath.Join(dir, "d"))
	require.Equal(t, []string{"a", "b", "d"}, names(t, dir))

	f := create("f")
	f.Abort()
	require.Equal(t, []string{"a", "b", "d"}, names(t, dir))
	_, err = f.Write([]byte("x"))
	require.NotContains(t, err.Error(), ".tmp")
}

// TestCreateElsewhere: a link leads to the file that is replaced, and stays; a device keeps
// its name.
func TestCreateElsewhere(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	require.NoError(t, os.WriteFile(target, []byte("old"), 0o644))
	if err := os.Symlink(target, link); err != nil {
		t.Skip("SKIPPED: no links: ", err)
	}
	f, err := Create(link)
	require.NoError(t, err)
	_, err = f.Write([]byte("new"))
	require.NoError(t, err)
	require.NoError(t, Commit(f))
	info, err := os.Lstat(link)
	require.NoError(t, err)
	require.NotZero(t, info.Mode()&os.ModeSymlink)
	data, err := os.ReadFile(target)
	require.NoError(t, err)
	require.Equal(t, "new", string(data))
	require.Equal(t, []string{"link", "target"}, names(t, dir))

	if os.DevNull == "/dev/null" {
		require.NoError(t, os.Symlink("/dev/null", filepath.Join(dir, "null")))
		for _, name := range []string{"/dev/null", filepath.Join(dir, "null")} {
			_, err := Create(name)
			require.ErrorContains(t, err, "is a device or a pipe")
		}
	}
}
