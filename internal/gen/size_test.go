package gen

import (
	"regexp"
	"strings"
	"testing"
)

// TestSizes: the assembly stays small enough to be read, and its functions for the
// caches of instructions.
func TestSizes(t *testing.T) {
	const all, function = 115_000, 3_600 // instructions
	files, err := generated()
	if err != nil {
		t.Fatal(err)
	}
	instruction := regexp.MustCompile(`(?m)^\t[A-Z]`)
	total := 0
	for file, text := range files {
		if !strings.HasSuffix(file, ".s") {
			continue
		}
		for _, part := range strings.Split(string(text), "\nTEXT ·")[1:] {
			name, body, _ := strings.Cut(part, "(SB)")
			n := len(instruction.FindAllString(body, -1))
			if total += n; n > function {
				t.Errorf("%s: %s has %d instructions, above %d", file, name, n, function)
			}
		}
	}
	t.Logf("%d instructions", total)
	if total > all || total == 0 {
		t.Errorf("%d instructions, above %d or none", total, all)
	}
}
