// Command bdia trains transformers with exact reversible back-propagation.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// usageError marks an error of how the program was called.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// usage marks err, if there is one, as the caller's.
func usage(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

// errMismatch ends verify when something differed; the report has been printed.
var errMismatch = errors.New("not exact: see the report")

func main() { os.Exit(run(os.Args[1:])) }

// run executes the command line args and returns the exit code.
func run(args []string) int {
	ctx, stop := interruptible()
	defer stop()
	root := newRoot()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(root.ErrOrStderr(), "bdia: %s\n", oneLine(err))
	if errors.As(err, new(usageError)) {
		return exitUsage
	}
	return exitFailure
}

// interruptible returns a context that the first Ctrl-C ends, so that commands
// can save and leave; the second one stops the process at once.
func interruptible() (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		if _, ok := <-signals; !ok {
			return
		}
		cancel()
		if _, ok := <-signals; ok {
			os.Exit(130)
		}
	}()
	return ctx, func() { signal.Stop(signals); close(signals); cancel() }
}

// oneLine joins the lines of an error.
func oneLine(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "bdia",
		Short: "Train transformers with exact reversible back-propagation",
		Long: `bdia trains transformers in memory that hardly grows with depth. The backward
pass rebuilds every activation bit for bit instead of storing it (the BDIA
transformer, arXiv 2407.09093); what comes out is an ordinary transformer in
Hugging Face's layout.

Start with: bdia quickstart`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage(fmt.Errorf("unknown command %q; bdia --help lists them", args[0]))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage(fmt.Errorf("%w; %s --help lists the flags", err, cmd.CommandPath()))
	})
	root.AddCommand(newQuickstart(), newTrain(), newEval(), newGenerate(), newVerify(), newPlan(), newTokenizer())
	for _, c := range root.Commands() {
		markArgs(c)
	}
	return root
}

// markArgs makes wrong arguments of c and its sub-commands usage errors.
func markArgs(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usage(fmt.Errorf("%s: %w; see %s --help", cmd.CommandPath(), err, cmd.CommandPath()))
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		markArgs(sub)
	}
}
