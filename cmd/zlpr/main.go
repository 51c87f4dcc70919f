// Command zlpr evaluates score matrices on disk with the losses of package
// zlpr, trains linear multi-label models with them, and draws subsets.
//
//	go run ./cmd/zlpr eval    # an embedded sample
//	go run ./cmd/zlpr train   # a corpus made from Go's own source
//
// It exits with status 0, with 1 for an error in the data, with 2 for an error
// in the arguments, and with 130 after Ctrl-C. Errors are one line on standard
// error. Output files appear only when they are complete.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	err := newRoot().ExecuteContext(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "zlpr:", oneLine(err))
		os.Exit(status(err))
	}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "zlpr",
		Short:         "Multi-label losses: evaluate, train, predict, sample",
		Long:          "Evaluates scores on disk with ZLPR and its family of losses, trains linear\nmulti-label models with them, and draws k-subsets.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddCommand(newEval(), newTrain(), newCompare(), newPredict(), newSample(), newVersion())
	root.Version = version()
	root.SetVersionTemplate("zlpr {{.Version}}\n")
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	usage := func(_ *cobra.Command, err error) error { return usageError{err} }
	root.SetFlagErrorFunc(usage)
	for _, c := range root.Commands() {
		c.Args = noArgs
		switch c.Name() {
		case "completion": // a shell that is none is an error
			c.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		case "help":
			c.Args, c.RunE = cobra.ArbitraryArgs, help
		}
	}
	root.Args = func(_ *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usagef("unknown command %q; see zlpr --help", args[0])
		}
		return nil
	}
	return root
}

// help prints the help of a command.
func help(cmd *cobra.Command, args []string) error {
	about, rest, err := cmd.Root().Find(args)
	if err != nil || len(rest) > 0 {
		return usagef("unknown command %q; see zlpr --help", strings.Join(args, " "))
	}
	about.InitDefaultHelpFlag()
	return about.Help()
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("unexpected argument %q; see %s --help", args[0], cmd.CommandPath())
	}
	return nil
}
