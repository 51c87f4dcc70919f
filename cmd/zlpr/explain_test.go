package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/zlpr/zlpr/internal/named"
)

// TestExplain: every loss that there is has all that explain and help say of one.
func TestExplain(t *testing.T) {
	dir := t.TempDir()
	all, stderr, status := run(t, dir, "explain")
	require.Equal(t, 0, status, stderr)
	help, _, _ := run(t, dir, "eval", "--help")
	evalFlags, _, _ := run(t, dir, "train", "--help")
	evalFlags += help
	for _, e := range named.Losses {
		loss := e.Make(&named.Default, nil)
		require.Equal(t, e.Name, loss.Name())
		require.NotContains(t, e.Line, "\n")
		require.Contains(t, all, e.Name+" ")
		require.Contains(t, all, e.Line)
		require.Contains(t, help, e.Line)
		text, stderr, status := run(t, dir, "explain", e.Name)
		require.Equal(t, 0, status, stderr)
		require.True(t, strings.HasPrefix(text, e.Name+"\n"), text)
		for _, part := range append([]string{e.Formula, e.Gradient, e.When}, e.Papers...) {
			require.NotEmpty(t, part, e.Name)
			for line := range strings.Lines(part) {
				require.Contains(t, text, "  "+strings.TrimRight(line, "\n")+"\n")
			}
		}
		require.NotEmpty(t, e.Papers, e.Name)
		for _, flag := range strings.Split(e.Flags, ", ") {
			require.Contains(t, evalFlags, flag)
		}
		for line := range strings.Lines(text) {
			require.NotRegexp(t, ` \n$`, line)
		}
	}
	fails(t, dir, 2, `unknown loss "zlrp"; choose from .* \(did you mean zlpr\?\)`, "explain", "zlrp")
	fails(t, dir, 2, `unexpected argument "bce"`, "explain", "zlpr", "bce")
}
