package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/cpu"

	"github.com/zlpr/zlpr"
)

type versionReport struct {
	Version  string   `json:"version"`
	Go       string   `json:"go"`
	Platform string   `json:"platform"`
	Tier     string   `json:"tier"`
	Features []string `json:"features"`
}

func newVersion(s *session) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Version, Go, kernels in use and CPU features",
		Example: "  zlpr version --json",
		RunE: func(*cobra.Command, []string) error {
			r := versionReport{version(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH, zlpr.Tier(), cpuFeatures()}
			return s.finish(func(w io.Writer) error {
				if asJSON {
					return writeJSON(w, r)
				}
				_, err := fmt.Fprintf(w, "zlpr %s\n%s %s\nkernels: %s\nCPU: %s\n",
					r.Version, r.Go, r.Platform, r.Tier, strings.Join(r.Features, " "))
				return err
			})
		},
	}
	flagTable{{name: "json", to: &asJSON, doc: "print one JSON object"}}.declare(cmd, s, func() error { return nil })
	return cmd
}

// version returns the version of the module.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// cpuFeatures returns the features that kernels ask for, those that are there.
func cpuFeatures() []string {
	features := []string{}
	for _, f := range []struct {
		name string
		has  bool
	}{
		{"avx", cpu.X86.HasAVX}, {"avx2", cpu.X86.HasAVX2}, {"fma", cpu.X86.HasFMA}, {"bmi1", cpu.X86.HasBMI1}, {"bmi2", cpu.X86.HasBMI2},
		{"avx512f", cpu.X86.HasAVX512F}, {"avx512bw", cpu.X86.HasAVX512BW}, {"avx512dq", cpu.X86.HasAVX512DQ},
		{"avx512vl", cpu.X86.HasAVX512VL}, {"asimd", cpu.ARM64.HasASIMD},
	} {
		if f.has {
			features = append(features, f.name)
		}
	}
	return features
}
