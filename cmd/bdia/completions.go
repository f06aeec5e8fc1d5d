package main

import (
	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/optim"
)

// completions offers values of flags that take a few words, or often take the same.
func completions(c *cobra.Command) {
	cli.Choices(c, map[string][]string{
		"preset": presetNames(), "format": {"lines", "tsv", "csv", "jsonl"}, "task": taskWords(),
		"on-bad": {"skip", "fatal"}, "on-long": {"skip", "truncate", "fatal"}, "on-corrupt": {"fatal", "skip"}, "on-unknown": {"extend", "skip", "fatal"},
		"memory": {"reversible", "store", "recompute"}, "optimizer": optim.Names(), "schedule": {"cosine", "linear", "constant"},
		"gelu": {"tanh", "erf"}, "update": {"auto", "now", "end"}, "on-divergence": {"stop", "skip", "rewind"}, "isa": {"portable", "avx2", "avx512", "amx"}, "precision": {backend.Float32.String(), backend.BFloat16.String()},
		"model": {"gpt", "vit", "revvit"}, "split": {"val", "train", "test"}, "fault": faultNames(),
	})
	if c.Name() != "eval" { // it is a range there
		cli.Complete(c, "gamma", "0.5", "0.25", "0.125..0.5", "0")
	}
	cli.Complete(c, "grid", "9", "none")
	cli.Complete(c, "state-bits", "32", "8")
	cli.Complete(c, "table-bits", "32", "8")
}
