package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/train"
)

// reconfigure gives the run r the settings that o changes. A damaged run is mended before it is told how far it has
// come: it may go on from an older checkpoint. Then w gets a note.
func reconfigure(ctx context.Context, w io.Writer, r *train.Run, o overrides) error {
	for _, name := range o.names() {
		if o[name] == autoWord && name != "update" {
			return cli.Usage(fmt.Errorf("--%s auto is for a run that begins; leave it out, or give a value", name))
		}
	}
	if err := o.belong(r.Task); err != nil {
		return err
	}
	for _, name := range o.names() {
		if err := o.alone(r.Task, name); err != nil {
			return cli.Usage(fmt.Errorf("--%s: %w", name, err))
		}
	}
	t, err := o.changed(r.Task)
	if err != nil {
		return err
	}
	if ends := (&train.Run{Task: t, State: r.State}).Done(); ends || t.Common().Schedule.Steps != r.Common().Schedule.Steps {
		notes, err := r.Mend()
		if err != nil {
			return err
		}
		printNotes(w, notes)
	}
	if n := r.State.Step; n >= t.Common().Schedule.Steps && !r.State.EvalDue {
		return cli.Usage(fmt.Errorf("%s has done its %d steps; to go on, ask for more with --steps", r.Dir, n))
	}
	if early := *r; !r.State.EvalDue {
		if early.Task = t; early.StoppedEarly() {
			return cli.Usage(fmt.Errorf("%s stopped early at step %d: no better validation in %d evaluations; to go on, ask for more with --patience, or --patience 0 for all steps",
				r.Dir, r.State.Step, r.State.BadEvals))
		}
	}
	if v, ok := viewOf(r.Task).(imageView); ok {
		if err := v.move(ctx, t); err != nil {
			return err
		}
	}
	r.NewPrecision = o.has("precision")
	return r.Reconfigure(t)
}

// openDamaged opens the run in dir to go on with it. One that cannot be opened since it is damaged is mended first.
func openDamaged(w io.Writer, dir string) (*train.Run, error) {
	r, err := openRun(dir)
	if !errors.Is(err, checkpoint.ErrDamaged) {
		return r, err
	}
	notes, err := train.Mend(dir)
	if err != nil {
		return nil, err
	}
	printNotes(w, notes)
	return openRun(dir)
}

// printNotes prints a note a line.
func printNotes(w io.Writer, notes []string) {
	for _, note := range notes {
		fmt.Fprintln(w, note)
	}
}

// changed returns a task with the settings of t, a run's, that o changes, if they may change.
func (o overrides) changed(t train.Task) (train.Task, error) {
	to, err := o.settle(clone(t))
	if err != nil {
		return nil, err
	}
	if err := train.Absolute(viewOf(to).paths()...); err != nil {
		return nil, err
	}
	if c := to.Common(); c.Method.Ramp.From != 0 { // a ramp over the whole run, if no @ says otherwise
		train.Fill(&c.Method.Ramp.Steps, c.Schedule.Steps)
	}
	return to, cli.Usage(train.Unchanged(t, to))
}

// alone refuses the named flag of o if it, alone, changes what has to stay in a run of t.
func (o overrides) alone(t train.Task, name string) error {
	to, one := clone(t), overrides{name: o[name]}
	err := one.expand(to)
	if err == nil {
		err = one.apply(viewOf(to).flags())
	}
	if err == nil {
		err = train.Absolute(viewOf(to).paths()...)
	}
	if err == nil {
		err = train.Unchanged(t, to)
	}
	return err
}

// clone returns a task with the settings of t and without data.
func clone(t train.Task) train.Task { return t.(train.Synthetic).Clone() }

// printStretched says what another length does to the learning rate of a run that has done n steps.
func printStretched(w io.Writer, n int, was, is optim.Schedule) {
	if before, after := was.At(n), is.At(n+1); n > 0 && was.Steps != is.Steps && is.At(n) != before {
		fmt.Fprintf(w, "The %s schedule now ends at step %d, not %d: the learning rate was %.3g at step %d and goes on at %.3g\n", is.Kind, is.Steps, was.Steps, before, n, after)
	}
}
