package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestExplain: every loss that there is has all that explain and help say of one.
func TestExplain(t *testing.T) {
	dir := t.TempDir()
	all, stderr, status := run(t, dir, "explain")
	require.Equal(t, 0, status, stderr)
	help, _, _ := run(t, dir, "eval", "--help")
	evalFlags, _, _ := run(t, dir, "train", "--help")
	evalFlags += help
	for _, e := range lossTable {
		loss, err := defaultLoss.newLoss(e.name, nil)
		require.NoError(t, err)
		require.Equal(t, e.name, loss.Name())
		require.NotContains(t, e.line, "\n")
		require.Contains(t, all, e.name+" ")
		require.Contains(t, all, e.line)
		require.Contains(t, help, e.line)
		text, stderr, status := run(t, dir, "explain", e.name)
		require.Equal(t, 0, status, stderr)
		require.True(t, strings.HasPrefix(text, e.name+"\n"), text)
		for _, part := range append([]string{e.formula, e.gradient, e.when}, e.papers...) {
			require.NotEmpty(t, part, e.name)
			for line := range strings.Lines(part) {
				require.Contains(t, text, "  "+strings.TrimRight(line, "\n")+"\n")
			}
		}
		require.NotEmpty(t, e.papers, e.name)
		for _, flag := range strings.Split(e.flags, ", ") {
			require.Contains(t, evalFlags, flag)
		}
		for line := range strings.Lines(text) {
			require.NotRegexp(t, ` \n$`, line)
		}
	}
	fails(t, dir, 2, `unknown loss "zlrp"; choose from .* \(did you mean zlpr\?\)`, "explain", "zlrp")
	fails(t, dir, 2, `unexpected argument "bce"`, "explain", "zlpr", "bce")
}
