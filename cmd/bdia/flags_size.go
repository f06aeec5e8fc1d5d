package main

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/train"
)

// presetFlag names sizes. It is bound to nothing: settings are expanded by it.
func presetFlag(f *pflag.FlagSet, names []string) {
	f.String("preset", "", "`size`: "+strings.Join(names, ", "))
}

// openShapeFlags are the sizes of a language model, which may be open; shapeFlags of the others, layers may be several.
func openShapeFlags(f *pflag.FlagSet, heads, width, layers *int) {
	openInt(f, layers, 0, "layers", "blocks")
	openInt(f, heads, 0, "heads", "attention heads")
	openInt(f, width, 0, "width", "channels of the residual stream")
}

func shapeFlags(f *pflag.FlagSet, heads, width *int, layers ...*int) {
	f.Var(numbers(layers), "layers", "blocks")
	f.IntVar(heads, "heads", *heads, "attention heads")
	f.IntVar(width, "width", *width, "channels of the residual stream")
}

// blockFlags are what else the blocks of every model have.
func blockFlags(f *pflag.FlagSet, mlp *int, gelu *backend.GELUForm, embedding, attention, residual *float64) {
	f.IntVar(mlp, "mlp", *mlp, "hidden width of the MLP; 0 for four times the width")
	f.TextVar(gelu, "gelu", *gelu, "`form` of the GELU: tanh (GPT-2) or erf (ViT)")
	f.Float64Var(embedding, "embedding-dropout", *embedding, "dropout `share` of the embedding")
	f.Float64Var(attention, "attention-dropout", *attention, "dropout `share` of the attention weights")
	f.Float64Var(residual, "residual-dropout", *residual, "dropout `share` of the residual branches")
}

// dropoutFlag sets all three shares. It is bound to nothing.
func dropoutFlag(f *pflag.FlagSet) {
	f.Float64("dropout", 0, "dropout `share` of embedding, attention, branches")
}

// sizeHeading is the heading of sizes.
const sizeHeading = "Model, if no run is named"

// sizeGroups are flags of a model without data: its sizes, the method and the batch, and others that are rare.
func sizeGroups(c *train.Common, model, batch, rare func(*pflag.FlagSet)) []group {
	return []group{
		{sizeHeading, false, model},
		{"Method and batch", false, func(f *pflag.FlagSet) {
			methodFlags(f, &c.Method)
			precisionFlag(f, &c.Engine.Precision)
			batch(f)
		}},
		{moreModel, true, func(f *pflag.FlagSet) { dropoutFlag(f); rare(f) }},
		{moreTraining, true, func(f *pflag.FlagSet) {
			updateFlags(f, &c.Loop)
			optimizerFlag(f, &c.Optimizer)
			stateFlag(f, &c.Optimizer)
			seedFlag(f, &c.Loop)
			engineFlags(f, &c.Engine)
		}},
	}
}

// numbers are whole numbers that one flag sets.
type numbers []*int

func (n numbers) Type() string { return "int" }

func (n numbers) String() string {
	if len(n) == 0 { // pflag asks a zero value too
		return ""
	}
	return strconv.Itoa(*n[0])
}

func (n numbers) Set(text string) error {
	v, err := strconv.Atoi(text)
	if err != nil {
		return err
	}
	for _, p := range n {
		*p = v
	}
	return nil
}

// expandPreset makes m the model of the preset that o names, a size of task, if it names one.
func expandPreset[M any](o overrides, task string, m *M, get func(name string) (M, error)) error {
	name, ok := o["preset"]
	if !ok {
		return nil
	}
	plain, err := presetOf(task, name)
	if err != nil {
		return cli.Usage(err)
	}
	*m, err = get(plain)
	return cli.Usage(err)
}

// addSizes gives c the flags of models of every task that need no data. The ones of without do nothing in c: they are
// not shown, and c refuses them.
func addSizes(c *cobra.Command, without ...string) {
	cli.Group(c, sizeHeading, func(f *pflag.FlagSet) { taskFlag(f); presetFlag(f, presetNames()) })
	for _, t := range fromScratch {
		task := newTask(t.name)
		train.Assume(task) // there are no data
		addGroups(c, viewOf(task).sizes())
	}
	for _, name := range without {
		c.Flags().Lookup(name).Hidden = true
	}
}
