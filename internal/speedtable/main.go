// Command speedtable makes the README's table of speeds. It runs the benchmarks of its
// rows on the tiers that this machine has, keeps the recorded figures of other tiers
// with their machine and date, and writes both. It exits with status 1 where a kernel
// tier's recorded figure is slower than the naive loop.
//
//	go run ./internal/speedtable              # from the module's root, some minutes
//	go run ./internal/speedtable -count 0     # writes and checks the recorded figures
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"
)

const (
	recorded = "internal/speedtable/figures.json"
	readme   = "README.md"
)

func main() {
	count := flag.Int("count", 10, "`runs` of every benchmark, the least of which counts; 0 for none")
	flag.Parse()
	slow, err := update(*count)
	if err != nil {
		fmt.Fprintln(os.Stderr, "speedtable:", err)
		os.Exit(1)
	}
	for _, s := range slow {
		fmt.Fprintln(os.Stderr, "speedtable:", s)
	}
	if len(slow) > 0 {
		os.Exit(1)
	}
}

// update runs the benchmarks, if any, and writes the figures and the table. It returns
// what is slower than naive.
func update(count int) (slow []string, err error) {
	file, err := os.ReadFile(recorded)
	if err != nil {
		return nil, fmt.Errorf("%w: run it in the root of the module", err)
	}
	r, err := read(file)
	if err != nil {
		return nil, err
	}
	if count > 0 {
		out, err := benchmarks(count)
		if err != nil {
			return nil, err
		}
		run, err := parse(out)
		if err != nil {
			return nil, err
		}
		run.Go, run.Date = runtime.Version(), time.Now().UTC().Format(time.DateOnly)
		r.take(run)
	}
	text, err := os.ReadFile(readme)
	if err != nil {
		return nil, err
	}
	table, err := replaced(string(text), r)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(recorded, r.write(), 0o666); err != nil {
		return nil, err
	}
	if err := os.WriteFile(readme, []byte(table), 0o666); err != nil {
		return nil, err
	}
	return r.slow(), nil
}

// benchmarks runs those of all rows, a process for each: what one leaves behind in
// memory and caches does not change another's figure.
func benchmarks(count int) ([]byte, error) {
	var out bytes.Buffer
	for _, row := range rows {
		cmd := exec.Command("go", "test", "-run", "^$", "-bench", row.pattern(), "-count", strconv.Itoa(count), "-benchtime", "100ms", ".")
		cmd.Stdout, cmd.Stderr = &out, os.Stderr
		fmt.Fprintln(os.Stderr, strings.Join(cmd.Args, " "))
		if err := cmd.Run(); err != nil {
			return nil, fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
		}
	}
	return out.Bytes(), nil
}
