package main

import (
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strings"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/train"
)

// printSummary says how a run ended and what can be done with it.
func printSummary(w io.Writer, r *train.Run, sum train.Summary) {
	v, c := viewOf(r.Task), r.Common()
	words := v.words()
	switch {
	case sum.Interrupted && sum.Saved == 0:
		fmt.Fprintf(w, "Interrupted before step 1 of %d; the data are ready. Go on with:\n  bdia train resume %s\n", c.Schedule.Steps, r.Dir)
		return
	case sum.Interrupted:
		fmt.Fprintf(w, "Interrupted after step %d of %d; saved. Go on with:\n  bdia train resume %s\n", sum.Steps, c.Schedule.Steps, r.Dir)
		return
	case sum.Stopped:
		fmt.Fprintf(w, "Stopped early at step %d: no better validation %s in %d evaluations.\n", sum.Steps, words.measure, c.Loop.Patience)
	default:
		fmt.Fprintf(w, "Done: %s.\n", doneText(sum))
	}
	if sum.Skipped+sum.Rewinds > 0 {
		fmt.Fprintf(w, "  diverged         %d steps left out, %d times back to a checkpoint\n", sum.Skipped, sum.Rewinds)
	}
	part := " --split train"
	if !math.IsNaN(sum.LastVal.Loss) { // something is held out
		v.printScores(w, sum)
		part = ""
	}
	if gap := gapOf(c.Engine.Precision, sum.LastVal.Loss, sum.Float32Val.Loss); !math.IsNaN(sum.Float32Val.Loss) {
		fmt.Fprintf(w, "  precision        %s\n", gap)
	}
	fmt.Fprintf(w, "  peak memory      %s, %s; of the process about %s\n", cli.Bytes(sum.Peak.Total), asPlanned(sum), cli.Bytes(sum.Peak.Total+sum.Host.Total()))
	if grid := c.Method.Grid; grid != bdia.NoGrid {
		fmt.Fprintf(w, "  largest |x|      %.4g (exact below %.0f)\n", sum.MaxAbs, grid.Limit())
	}
	fmt.Fprintf(w, "  run directory    %s\n  loss curve       %s\n", r.Dir, filepath.Join(r.Dir, "loss.png"))
	v.printNotes(w)
	fmt.Fprintln(w, "Try it with:")
	for _, try := range words.try {
		fmt.Fprintln(w, "  "+strings.NewReplacer("RUN", r.Dir, " PART", part).Replace(try))
	}
}

// doneText says how many steps were done in what time: of this process, and of the whole run if that is more.
func doneText(sum train.Summary) string {
	if sum.Before == 0 {
		return fmt.Sprintf("%d steps in %s", sum.Steps, cli.Seconds(sum.Elapsed))
	}
	return fmt.Sprintf("%d steps (of %d) in %s; %s in all", sum.Steps-sum.Before, sum.Steps, cli.Seconds(sum.Seconds), cli.Seconds(sum.Elapsed))
}

// printLosses tells the last validation loss, and the best.
func printLosses(w io.Writer, sum train.Summary) {
	fmt.Fprintf(w, "  validation loss  %.4f", sum.LastVal.Loss)
	if !math.IsInf(sum.BestVal.Loss, 0) {
		fmt.Fprintf(w, ", best %.4f at step %d", sum.BestVal.Loss, sum.BestStep)
		if sum.BestStep == 0 {
			fmt.Fprint(w, ", before it learned")
		}
	}
	fmt.Fprintln(w)
}

// asPlanned compares the arena's real peak with the plan.
func asPlanned(sum train.Summary) string {
	if sum.Peak == sum.Planned {
		return "as planned to the byte"
	}
	return fmt.Sprintf("planned %s", cli.Bytes(sum.Planned.Total))
}

// summaryJSON is a summary for machines; unmeasured numbers are null.
func summaryJSON(r *train.Run, end outcome) map[string]any {
	sum := end.Summary
	j := map[string]any{
		"run": r.Dir, "precision": r.Common().Engine.Precision.String(), "val_loss_float32": cli.Number(sum.Float32Val.Loss), "steps": sum.Steps, "interrupted": sum.Interrupted, "saved_step": sum.Saved,
		"skipped_steps": sum.Skipped, "rewinds": sum.Rewinds, "warnings": append([]string{}, sum.Warnings...),
		"stopped_early":  sum.Stopped,
		"first_val_loss": cli.Number(sum.FirstVal.Loss), "val_loss": cli.Number(sum.LastVal.Loss), "best_val_loss": cli.Number(sum.BestVal.Loss),
		"best_step": sum.BestStep, "train_eval_loss": cli.Number(sum.LastTrain.Loss), "seconds": sum.Elapsed, "process_seconds": sum.Seconds, "max_abs": sum.MaxAbs,
		"planned_bytes": sum.Planned.Total, "peak_bytes": sum.Peak.Total, "host": hostOf(sum.Host),
	}
	end.addJSON(j)
	viewOf(r.Task).addJSON(j, sum)
	return j
}
