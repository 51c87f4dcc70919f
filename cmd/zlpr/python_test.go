package main

import (
	"os"
	"os/exec"
	"testing"
)

// python returns a Python with numpy and scipy.
func python(t *testing.T) string {
	for _, name := range []string{os.Getenv("PYTHON"), "python3", "/usr/bin/python3"} {
		if name != "" && exec.Command(name, "-c", "import numpy, scipy").Run() == nil {
			return name
		}
	}
	if os.Getenv("ZLPR_REQUIRE_NUMPY") != "" {
		t.Fatal("no Python with numpy and scipy, but ZLPR_REQUIRE_NUMPY is set")
	}
	t.Skip("SKIPPED: no Python with numpy and scipy; on Debian: apt-get install python3-numpy python3-scipy")
	return ""
}
