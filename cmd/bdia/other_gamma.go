package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/train"
)

// tellGamma tells that the gamma of t is not the one of --config: a file for a run from nothing has the default of such
// a run, which spoils the trained model of --from.
func (o overrides) tellGamma(cmd *cobra.Command, t train.Task) {
	if !o.has("config") || !o.has("from") || o.has("gamma") {
		return
	}
	file, err := train.ReadConfig(o["config"], newTask(t.Name()))
	if err != nil {
		return // settle has read it
	}
	is, was := t.Common().Method, file.Common().Method
	if is.Gamma == was.Gamma && is.Ramp == was.Ramp {
		return
	}
	cli.NewProgress(cmd).Note(fmt.Sprintf("Gamma is %v..%v, as bdia finetune takes it for a trained model: %s is for a run from nothing, and has %s. --gamma %[4]s takes that.",
		is.Ramp.From, is.Gamma, o["config"], was.GammaText()))
}
