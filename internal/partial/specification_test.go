package partial

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

var record = flag.Bool("record", false, "write testdata/specification.txt anew")

// recorded is the file that says which hashes a specification of the kernels has.
const recorded = "testdata/specification.txt"

// TestSpecification: while Specification stays what it is, no recorded
// hash of a kernel changes, for results of two machines are merged where these
// numbers agree. Of a kernel that is new, or gone, the number need not tell:
//
//	go test -run TestSpecification ./internal/partial -record
func TestSpecification(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("SKIPPED: is the same on every architecture")
	}
	hashes := map[string]string{}
	line := regexp.MustCompile(`kerneltest\.Case\("([^"]+)", (0x[0-9a-f]+), (0x[0-9a-f]+)`)
	for _, file := range []string{"../../tier_test.go", "../kernel/hash_test.go"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range line.FindAllStringSubmatch(string(text), -1) {
			hashes[m[1]] = m[2] + " " + m[3]
		}
	}
	if len(hashes) < 60 {
		t.Fatalf("%d recorded hashes found: the pattern is out of date", len(hashes))
	}
	text, err := os.ReadFile(recorded)
	if err != nil {
		t.Fatal(err)
	}
	var number int
	known := map[string]string{}
	for l := range strings.Lines(string(text)) {
		if name, rest, ok := strings.Cut(strings.TrimSpace(l), " "); ok && name == "specification" {
			if _, err := fmt.Sscan(rest, &number); err != nil {
				t.Fatal(err)
			}
		} else if ok {
			known[name] = rest
		}
	}
	var changed, other []string
	for name, hash := range hashes {
		switch {
		case known[name] == "":
			other = append(other, name)
		case known[name] != hash:
			changed = append(changed, name)
		}
	}
	for name := range known {
		if hashes[name] == "" {
			other = append(other, name)
		}
	}
	if len(changed) > 0 && number == Specification {
		t.Fatalf("the hashes of %s changed: raise Specification to %d, so that results from before are not merged with those from now, then go test -run TestSpecification ./internal/partial -record",
			strings.Join(changed, ", "), number+1)
	}
	if *record {
		var b strings.Builder
		fmt.Fprintln(&b, "specification", Specification)
		var names []string
		for name := range hashes {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			fmt.Fprintln(&b, name, hashes[name])
		}
		if err := os.WriteFile(recorded, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if len(other) > 0 || number != Specification {
		t.Errorf("%s is out of date (%s): go test -run TestSpecification ./internal/partial -record", recorded, strings.Join(other, ", "))
	}
}
