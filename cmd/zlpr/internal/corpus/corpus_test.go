package corpus

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// write makes a tree of n files that all import strings, half of them net/http.
func write(t *testing.T, n int) string {
	dir := t.TempDir()
	for i := range n {
		src := "package p\n\nimport \"strings\"\n"
		if i%2 == 0 {
			src += "import web \"net/http\"\nvar _ web.Handler\n"
		}
		src += fmt.Sprintf("var shared, own%d = strings.Repeat(\"x\", 2), 0\n", i)
		sub := filepath.Join(dir, fmt.Sprintf("d%d", i%3))
		require.NoError(t, os.MkdirAll(sub, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(sub, fmt.Sprintf("f%02d.go", i)), []byte(src), 0o600))
	}
	// Neither of these counts.
	for _, name := range []string{"vendor", "testdata"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, name), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name, "x.go"), []byte("no Go"), 0o600))
	}
	return dir
}

func TestBuild(t *testing.T) {
	dir := write(t, 40)
	c, err := Build(context.Background(), dir)
	require.NoError(t, err)
	require.Len(t, c.Files, 40)
	require.True(t, slices.IsSorted(c.Files))
	require.Equal(t, []string{"net/http", "strings"}, c.Classes)
	require.Len(t, c.Labels, 60)
	// The names of packages are no features, nor what only one file has.
	require.Equal(t, []string{"Handler", "Repeat", "_", "shared"}, c.Features)
	test := 0
	for _, is := range c.Test {
		if is {
			test++
		}
	}
	require.Greater(t, test, 2)
	require.Less(t, test, 16)
	again, err := Build(context.Background(), dir)
	require.NoError(t, err)
	require.Equal(t, c, again)
}

func TestBuildEmpty(t *testing.T) {
	_, err := Build(context.Background(), t.TempDir())
	require.ErrorContains(t, err, "no Go source")
}

func TestStandard(t *testing.T) {
	for p, want := range map[string]bool{"fmt": true, "net/http": true, "C": false, "cmd/internal/obj": false,
		"internal/abi": false, "golang.org/x/sys/cpu": false, "crypto/internal/fips140": false, "math/rand/v2": true} {
		require.Equal(t, want, standard(p), p)
	}
	require.Equal(t, "rand", packageName("math/rand/v2"))
	require.Equal(t, "http", packageName("net/http"))
}
