package main

import (
	"fmt"
	"io"
	"time"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/train"
)

// printForecast shows on w, in lines of at most columns, what a run will take, and the advice on it.
func printForecast(w io.Writer, columns int, f train.Forecast, advice []string) {
	row := func(label, format string, args ...any) { cli.Row(w, columns, label, fmt.Sprintf(format, args...)) }
	trained := ""
	if f.Trainable != f.Parameters {
		trained = fmt.Sprintf(", %s of them trained (%.2g%%)", cli.Count(f.Trainable), 100*float64(f.Trainable)/float64(f.Parameters))
	}
	row("Parameters", "%s%s", cli.Count(f.Parameters), trained)
	if f.Passes > 0 {
		row("Passes", "%s over the data, %s %s in all", rounded(f.Passes), cli.Count(f.Losses), f.Unit)
	}
	row("Memory", "%s, beside which the process takes %s", cli.Bytes(f.Memory.Total), hostText(f.Host))
	if f.StepTime > 0 {
		text := fmt.Sprintf("about %s: %s a step", about(f.Total), short(f.StepTime))
		if f.EvalTime > 0 {
			text += fmt.Sprintf(", and %d evaluations of %s", f.Evaluations, short(f.EvalTime))
		}
		row("Time", "%s", text)
	}
	for _, text := range advice {
		row("Note", "%s", text)
	}
}

// rounded formats a number with two digits behind a point that it needs.
func rounded(v float64) string {
	switch {
	case v >= 10:
		return cli.Count(int64(v + 0.5))
	case v >= 0.1:
		return fmt.Sprintf("%.2g", v)
	}
	return fmt.Sprintf("%.1g", v)
}

// about rounds a duration as people tell it: 58 minutes, 3.5 hours.
func about(d time.Duration) string {
	switch {
	case d < 1500*time.Millisecond:
		return "a second"
	case d < 90*time.Second:
		return fmt.Sprintf("%.0f seconds", d.Seconds())
	case d < 90*time.Minute:
		return fmt.Sprintf("%.0f minutes", d.Minutes())
	case d < 48*time.Hour:
		return fmt.Sprintf("%.1f hours", d.Hours())
	}
	return fmt.Sprintf("%.1f days", d.Hours()/24)
}

// short is a duration with three digits at most.
func short(d time.Duration) string {
	switch {
	case d >= 100*time.Second:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return fmt.Sprintf("%.3g s", d.Seconds())
	}
	return fmt.Sprintf("%.3g ms", float64(d)/1e6)
}

// Bounds of advice.
const (
	fewSteps   = 100
	manyPasses = 30
	perToken   = 20 // parameters
)

// advice is what a user should know of a run that will learn little, or learn its data by heart.
func advice(r *train.Run, f train.Forecast) (notes []string) {
	if r.State.Step > 0 { // it was said when the run began
		return nil
	}
	w := viewOf(r.Task).words()
	if f.Steps < fewSteps {
		text := fmt.Sprintf("%d steps are few to learn from; smaller batches (%s) give more of them", f.Steps, w.size)
		if f.Passes < manyPasses {
			text += ", and so do more passes (" + w.length + ")"
		}
		notes = append(notes, text+".")
	}
	if f.Passes > manyPasses {
		notes = append(notes, fmt.Sprintf("%s passes over the data: they will be learned by heart. %s makes the run shorter, --patience 3 stops it when validation gets no better.",
			rounded(f.Passes), w.length))
	}
	starts, ok := r.Task.(train.Starter)
	fresh := !ok || starts.StartsFrom() == ""
	if f.Passes > 0 && fresh && f.Unit == "tokens" && float64(f.Parameters) > perToken*float64(f.Losses)/f.Passes {
		notes = append(notes, fmt.Sprintf("%s parameters are more than %s tokens can fill; --layers and --width make the model smaller.",
			cli.Count(f.Parameters), cli.Count(int64(float64(f.Losses)/f.Passes+0.5))))
	}
	return notes
}

// forecastOf is a forecast for machines. What was not measured is null.
func forecastOf(f train.Forecast) map[string]any {
	seconds := func(d time.Duration) any {
		if d == 0 {
			return nil
		}
		return d.Seconds()
	}
	var passes any
	if f.Passes > 0 {
		passes = f.Passes
	}
	memory := usageOf(f.Memory)
	return map[string]any{"parameters": f.Parameters, "trainable": f.Trainable, "steps": f.Steps, "steps_left": f.Left,
		"losses": f.Losses, "unit": f.Unit, "passes": passes, "planned_bytes": memory.TotalBytes, "components": memory.Components, "host": hostOf(f.Host), "step_seconds": seconds(f.StepTime),
		"eval_seconds": seconds(f.EvalTime), "evaluations": f.Evaluations, "seconds": seconds(f.Total)}
}
