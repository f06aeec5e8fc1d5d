package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"

	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/train"
)

// overrides are the values of the flags that were given, by name.
type overrides map[string]string

// given returns the overrides of a parsed command line.
func given(f *pflag.FlagSet) overrides {
	o := overrides{}
	f.Visit(func(flag *pflag.Flag) { o[flag.Name] = flag.Value.String() })
	return o
}

// has reports whether the named flag was given.
func (o overrides) has(name string) bool { _, ok := o[name]; return ok }

// names lists the flags in alphabetical order.
func (o overrides) names() []string { return slices.Sorted(maps.Keys(o)) }

// apply sets what the flags of groups are bound to. Flags that are in no group are left to their command.
func (o overrides) apply(groups []group) error {
	f := flagSet(groups)
	for _, name := range o.names() {
		if f.Lookup(name) == nil {
			continue
		}
		if err := f.Set(name, o[name]); err != nil {
			return cli.Usage(fmt.Errorf("--%s %s: %w", name, o[name], err))
		}
	}
	return nil
}

// settle completes the settings of t by the file of --config, then by what --preset, --from, --optimizer and --dropout
// stand for, then by the other flags. The file may name another task, which is returned then.
func (o overrides) settle(t train.Task) (train.Task, error) {
	if file := o["config"]; file != "" {
		var err error
		if t, err = train.ReadConfig(file, t); errors.Is(err, fs.ErrNotExist) {
			return t, err
		} else if err != nil {
			return t, cli.Usage(err)
		}
	}
	v := viewOf(t)
	if err := o.belong(t); err != nil {
		return t, err
	}
	if err := o.expand(t); err != nil {
		return t, err
	}
	if err := o.apply(v.flags()); err != nil {
		return t, err
	}
	if err := t.Validate(); err != nil {
		return t, cli.Usage(err)
	}
	if err := o.refuse(idleOf(t)); err != nil {
		return t, err
	}
	return t, checkEngine(t.Common().Engine)
}

// belong refuses flags of other tasks than t.
func (o overrides) belong(t train.Task) error {
	if name := o["task"]; o.has("task") && taskNamed(name) != t.Name() {
		return cli.Usage(fmt.Errorf("--task %s, but these are the settings of task %s", name, t.Name()))
	}
	own := flagSet(viewOf(t).flags())
	for _, name := range o.names() {
		if own.Lookup(name) != nil {
			continue
		}
		if other := tasksWith(name); len(other) > 0 {
			return cli.Usage(fmt.Errorf("--%s is for task %s; this is task %s", name, joinOr(other), t.Name()))
		}
	}
	return nil
}

// expand sets the settings that flags stand for.
func (o overrides) expand(t train.Task) error {
	if o.has("steps") && o.has("epochs") {
		return cli.Usage(errors.New("--steps and --epochs both say how long the run is; give one of them"))
	}
	if from := o["from"]; from != "" && !o.has("preset") { // else the view says what is wrong
		dir, err := hub.Find(from)
		if err != nil {
			return err
		}
		o["from"] = dir
	}
	if err := viewOf(t).expand(o); err != nil {
		return err
	}
	c := &t.Common().Optimizer
	if name, ok := o["optimizer"]; ok && name != c.Name {
		with, err := optim.Default(name)
		if err != nil {
			return cli.Usage(err)
		}
		*c = with
	}
	return nil
}

// dropout sets each of several shares to the one of --dropout, if that was given.
func (o overrides) dropout(shares ...*float64) error {
	if !o.has("dropout") {
		return nil
	}
	share, err := strconv.ParseFloat(o["dropout"], 64)
	if err != nil {
		return cli.Usage(err)
	}
	for _, s := range shares {
		*s = share
	}
	return nil
}

// ofNewModel refuses flags of a model that learns from nothing, beside the one that --from names.
func (o overrides) ofNewModel(names ...string) error {
	for _, name := range names {
		if o.has(name) {
			return cli.Usage(fmt.Errorf("--%s is of a new model, and the one in %s has its own; leave out --%[1]s or --from", name, o["from"]))
		}
	}
	return nil
}

// checkEngine reports a device that this machine does not have.
func checkEngine(e backend.Options) error { return cli.Usage(e.Validate()) }
