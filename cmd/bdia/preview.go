package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/internal/disk"
	"github.com/bdia-go/bdia/train"
)

// preview is what is known of a run before its first step.
type preview struct {
	picture  *train.Picture  // nil: the task does not show its data
	forecast *train.Forecast // nil: there is none
}

// addJSON adds what is known to j.
func (p preview) addJSON(j map[string]any) {
	if p.picture != nil {
		j["data"] = p.picture
	}
	if p.forecast != nil {
		j["forecast"] = forecastOf(*p.forecast)
	}
}

// shower is a progress line that first shows what a run learns from and what it will take.
type shower struct {
	*cli.Progress
	preview
	r *train.Run
	w io.Writer // nil: nothing is shown
}

// data shows the data of the run, with so many samples, and how they are learned.
func (s *shower) data(samples int) error {
	if p, ok := s.r.Task.(train.Pictured); ok {
		picture, err := p.Picture(samples)
		if err != nil {
			return err
		}
		explainLong(s.r.Task, picture.Notes)
		s.picture = &picture
	}
	note := speedNote(s.r.Common().Engine)
	if s.w == nil {
		if note != "" {
			s.Note("Note: " + note)
		}
		return nil
	}
	s.Clear()
	if s.picture != nil {
		cli.PrintPicture(s.w, *s.picture, cli.Columns(s.w))
	}
	v, c := viewOf(s.r.Task), s.r.Common()
	grid := c.Method.Grid.String()
	if a, ok := v.(interface{ autoGrid() bool }); ok && a.autoGrid() && c.Method.Grid != bdia.NoGrid && s.r.State.Step == 0 {
		grid = autoWord // to be measured
	}
	cli.Row(s.w, cli.Columns(s.w), "Model", v.model())
	cli.Row(s.w, cli.Columns(s.w), "Method", fmt.Sprintf("memory %s, gamma %s, grid %s, precision %s; %s steps of %s",
		c.Method.Memory, c.Method.GammaText(), grid, c.Engine.Precision, cli.Count(int64(c.Schedule.Steps)), v.batch()))
	cli.Row(s.w, cli.Columns(s.w), "Training", trainingText(c))
	if note != "" {
		cli.Row(s.w, cli.Columns(s.w), "Note", note)
	}
	return nil
}

// trainingText says how a run of the settings c learns and when it stops: what it may have chosen from its data.
func trainingText(c *train.Common) string {
	text := fmt.Sprintf("%s, rate %v", c.Optimizer.Name, c.Schedule.LR)
	if n := c.Schedule.Warmup; n > 0 {
		text += fmt.Sprintf(" after %s steps of warm-up", cli.Count(int64(n)))
	}
	if c.Loop.Clip > 0 {
		text += fmt.Sprintf(", clipped at norm %v", c.Loop.Clip)
	}
	if n := c.Loop.EvalEvery; n > 0 {
		text += fmt.Sprintf("; evaluated every %s steps", cli.Count(int64(n)))
	}
	if n := c.Loop.Patience; n > 0 {
		text += fmt.Sprintf(", stops after %d evaluations without a better one", n)
	}
	return text
}

// Forecast shows what the run will take.
func (s *shower) Forecast(f train.Forecast) {
	s.Progress.Forecast(f)
	s.forecast = &f
	if s.Quiet() && s.w == nil {
		for _, note := range advice(s.r, f) {
			s.Note(note)
		}
	}
	if s.w != nil {
		printForecast(s.w, cli.Columns(s.w), f, advice(s.r, f))
	}
}

// rehearse shows what a run of t would learn and take. It leaves nothing behind.
func (o *runOptions) rehearse(cmd *cobra.Command, t train.Task, p *cli.Progress) (err error) {
	if o.out != "" {
		if _, err := unusedDir(o.out); err != nil {
			return err
		}
	}
	dir, err := disk.MkdirTemp("", "bdia-dry-run-")
	if err != nil {
		return err
	}
	defer disk.RemoveAll(dir)
	defer p.Clear()
	r, err := train.Create(cmd.Context(), dir, t, p.Preparing)
	if err != nil {
		return err
	}
	defer r.Close()
	s := &shower{Progress: p, r: r, w: cmd.OutOrStdout()}
	if o.asJSON {
		s.w = nil
	}
	if err := s.data(o.show); err != nil {
		return err
	}
	f, err := r.Forecast(cmd.Context(), p)
	if err != nil {
		return err
	}
	s.Forecast(f)
	if !o.asJSON {
		return nil
	}
	j := map[string]any{}
	s.addJSON(j)
	return cli.PrintJSON(cmd.OutOrStdout(), j)
}
