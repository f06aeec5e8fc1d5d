package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/optim"
	"github.com/bdia-go/bdia/train"
	trainpairs "github.com/bdia-go/bdia/train/pairs"
	"github.com/bdia-go/bdia/train/text"
	"github.com/bdia-go/bdia/train/tune"
)

// configName is the file that makes a folder a run directory.
const configName = "bdia.yaml"

// runsDir is where runs go that nobody has named a folder for.
const runsDir = "runs"

// newDir is a folder that a command makes, and takes back if it fails.
type newDir struct {
	path    string
	existed bool
}

// claimDir chooses the folder of a new run: out, which must be empty if it
// exists, or runs/PREFIX-DATE-TIME. It makes the latter, so that two commands of
// the same second get two folders.
func claimDir(out, prefix string) (newDir, error) {
	if out != "" {
		return emptyDir(out)
	}
	if err := os.MkdirAll(runsDir, 0o777); err != nil {
		return newDir{}, err
	}
	base := filepath.Join(runsDir, prefix+"-"+time.Now().Format("20060102-150405"))
	d := newDir{path: base}
	for i := 2; ; i++ {
		if err := os.Mkdir(d.path, 0o777); !errors.Is(err, fs.ErrExist) {
			return d, err
		}
		d.path = base + "-" + strconv.Itoa(i)
	}
}

// emptyDir is the folder path, which must be empty or not exist yet.
func emptyDir(path string) (newDir, error) {
	entries, err := os.ReadDir(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return newDir{path: path}, nil
	case err != nil:
		return newDir{}, err
	case len(entries) == 0:
		return newDir{path: path, existed: true}, nil
	}
	if _, err := os.Stat(filepath.Join(path, configName)); err == nil {
		return newDir{}, fmt.Errorf("%w: %s", train.ErrExists, path)
	}
	return newDir{}, fmt.Errorf("%s is not empty; choose another folder with --out", path)
}

// remove takes back what was written.
func (d newDir) remove() {
	if !d.existed {
		os.RemoveAll(d.path)
		if filepath.Dir(d.path) == runsDir {
			os.Remove(runsDir) // succeeds if nothing else is in it
		}
		return
	}
	entries, _ := os.ReadDir(d.path)
	for _, e := range entries {
		os.RemoveAll(filepath.Join(d.path, e.Name()))
	}
}

// inNewDir calls run with the folder of a new run, and removes the folder if
// run fails before training has begun, unless another process was quicker and
// the run in it is that one's.
func inNewDir(out, prefix string, p *cli.Progress, run func(dir string) error) error {
	d, err := claimDir(out, prefix)
	if err != nil {
		return err
	}
	err = run(d.path)
	if err != nil && !p.Started() {
		p.Clear()
		if !errors.Is(err, checkpoint.ErrLocked) && !errors.Is(err, train.ErrExists) {
			d.remove()
		}
	}
	return err
}

// folderOf returns the model folder that an argument or --from names.
func folderOf(args []string, from string) (string, error) {
	switch {
	case len(args) == 1 && from != "":
		return "", fmt.Errorf("the model is %s, and --from %s; give one of them", args[0], from)
	case len(args) == 1:
		return args[0], nil
	case from == "":
		return "", errors.New("name a run or model folder, as the argument or with --from")
	}
	return from, nil
}

// isRun returns an error if dir is not the directory of a run.
func isRun(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, configName)); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is no run directory: it has no %s", dir, configName)
	}
	return nil
}

// readRun returns the settings of the run in dir.
func readRun(dir string) (cfg config, err error) {
	if err = isRun(dir); err == nil {
		err = readConfig(filepath.Join(dir, configName), &cfg)
	}
	return cfg, err
}

// openRun opens the run in dir.
func openRun(dir string) (*oneRun, error) {
	if err := isRun(dir); err != nil {
		return nil, err
	}
	return openedRun(dir)
}

// reopenRun opens the run in dir to go on, with the settings that s changes.
func reopenRun(cmd *cobra.Command, s *settings, dir string) (*oneRun, error) {
	grid := cmd.Flags().Lookup("grid")
	if grid.Changed && grid.Value.String() == autoGrid {
		return nil, cli.Usage(errors.New("--grid auto is for a run that begins; leave it out"))
	}
	r, err := openRun(dir)
	if err != nil {
		return nil, err
	}
	cfg := r.Config
	if err = s.kept(cmd.Flags(), cfg); err == nil {
		cfg, err = s.resolve(cmd.Flags(), func(string) config { return r.Config })
	}
	if grid.Changed {
		cfg.Tune.AutoGrid = false
	}
	if err == nil {
		err = cfg.Absolute()
	}
	if err == nil {
		err = unchanged(r.Config, cfg)
	}
	if n := r.State.Step; err == nil && n >= cfg.Schedule.Steps && !r.State.EvalDue {
		err = cli.Usage(fmt.Errorf("%s has done its %d steps; to go on, ask for more with --steps", dir, n))
	}
	was := r.Config.Schedule
	if err == nil {
		err = r.Reconfigure(cfg)
	}
	if err != nil {
		r.Close()
		return nil, err
	}
	printStretched(cmd.ErrOrStderr(), r.State.Step, was, cfg.Schedule)
	return r, nil
}

// printStretched says what another length does to the learning rate of a run that has
// done n steps.
func printStretched(w io.Writer, n int, was, is optim.Schedule) {
	if before, after := was.At(n), is.At(n+1); n > 0 && was.Steps != is.Steps && is.At(n) != before {
		fmt.Fprintf(w, "The %s schedule now ends at step %d, not %d: the learning rate was %.3g at step %d and goes on at %.3g\n", is.Kind, is.Steps, was.Steps, before, n, after)
	}
}

// printRun says what is about to be trained.
func printRun(w io.Writer, r *oneRun) {
	c := r.Config
	fmt.Fprintf(w, "%s\n", modelText(c))
	grid := c.Method.Grid.String()
	if c.Tune.AutoGrid && c.Method.Grid != bdia.NoGrid && r.State.Step == 0 {
		grid = autoGrid
	}
	fmt.Fprintf(w, "Memory %s, gamma %s, grid %s; %d steps of %s\n", c.Method.Memory, c.Method.Gamma, grid, c.Schedule.Steps, batchText(c))
	if r.Text != nil {
		fmt.Fprintf(w, "Text: %s tokens to train on, %s held out\n", cli.Count(r.Text.Tokens(true).Len()), cli.Count(r.Text.Tokens(false).Len()))
	}
	if r.Images != nil {
		held := 0
		if val := r.Images.Set(false); val != nil {
			held = val.Len()
		}
		fmt.Fprintf(w, "Images: %s to train on, %s held out\n", cli.Count(int64(r.Images.Set(true).Len())), cli.Count(int64(held)))
	}
	if r.Pairs != nil {
		printPairs(w, r.Pairs)
	}
}

// batchText says how much a step learns from.
func batchText(c config) string {
	unit, perSample := c.Unit()
	switch c.Task {
	case trainpairs.Name:
		return fmt.Sprintf("up to %s tokens of both languages", cli.Count(int64(c.Pairs.BatchTokens)))
	case tune.Name:
		return fmt.Sprintf("up to %s tokens", cli.Count(int64(c.Pairs.BatchTokens)))
	}
	return cli.Count(int64(c.Loop.Batch*perSample)) + " " + unit
}

// modelText describes the model of c.
func modelText(c config) string {
	if c.Task == text.Name || c.Task == tune.Name {
		m := c.Model
		return fmt.Sprintf("GPT of %d blocks, width %d, %d heads, context %d, vocabulary %d", m.Layers, m.Width, m.Heads, m.Context, m.Vocab)
	}
	if c.Task == trainpairs.Name {
		m := c.Seq2Seq
		return fmt.Sprintf("Encoder-decoder of %d+%d blocks, width %d, %d heads, up to %d and %d positions, vocabulary %d",
			m.EncoderLayers, m.DecoderLayers, m.Width, m.Heads, m.SourceContext, m.TargetContext, m.TargetVocab)
	}
	m, name := c.ViT, "ViT"
	if m.TwoStream {
		name = "RevViT"
	}
	return fmt.Sprintf("%s of %d blocks, width %d, %d heads, images of %d pixels in patches of %d, %d classes",
		name, m.Layers, m.Width, m.Heads, m.Image, m.Patch, m.Classes)
}

// printSummary says how a run ended and what can be done with it.
func printSummary(w io.Writer, r *oneRun, sum train.Summary) {
	switch {
	case sum.Interrupted:
		fmt.Fprintf(w, "Interrupted after step %d of %d; saved. Go on with:\n  bdia train resume %s\n", sum.Steps, r.Config.Schedule.Steps, r.Dir)
		return
	case sum.Stopped:
		measure := "loss"
		if r.Images != nil {
			measure = "accuracy"
		}
		fmt.Fprintf(w, "Stopped early at step %d: no better validation %s in %d evaluations.\n", sum.Steps, measure, r.Config.Loop.Patience)
	default:
		fmt.Fprintf(w, "Done: %d steps in %s.\n", sum.Steps, cli.Seconds(sum.Seconds))
	}
	if !math.IsNaN(sum.LastVal.Loss) {
		fmt.Fprintf(w, "  validation loss  %.4f", sum.LastVal.Loss)
		if !math.IsInf(sum.BestVal.Loss, 0) && r.Images == nil {
			fmt.Fprintf(w, ", best %.4f at step %d", sum.BestVal.Loss, sum.BestStep)
			if sum.BestStep == 0 {
				fmt.Fprint(w, ", before it learned")
			}
		}
		fmt.Fprintln(w)
		if r.Images != nil {
			fmt.Fprintf(w, "  accuracy         %.2f%%, best %.2f%% at step %d\n", 100*sum.LastVal.Accuracy, 100*sum.BestVal.Accuracy, sum.BestStep)
		}
	}
	fmt.Fprintf(w, "  peak memory      %s, %s\n", cli.Bytes(sum.Peak.Total), asPlanned(sum))
	if r.Config.Method.Grid != bdia.NoGrid {
		fmt.Fprintf(w, "  largest |x|      %.4g (exact below %.0f)\n", sum.MaxAbs, r.Config.Method.Grid.Limit())
	}
	fmt.Fprintf(w, "  run directory    %s\n  loss curve       %s\n", r.Dir, filepath.Join(r.Dir, "loss.png"))
	part := ""
	if math.IsNaN(sum.LastVal.Loss) { // nothing is held out
		part = " --split train"
	}
	if r.Images != nil {
		if n, first := r.Images.Skipped(); n > 0 {
			fmt.Fprintf(w, "  images left out  %d that cannot be decoded, such as:\n", n)
			for _, line := range first {
				fmt.Fprintf(w, "    %s\n", line)
			}
		}
		fmt.Fprintf(w, "Try it with:\n  bdia eval %s%s\n  bdia classify %[1]s IMAGE\n", r.Dir, part)
		return
	}
	switch r.Config.Task {
	case trainpairs.Name:
		fmt.Fprintf(w, "Try it with:\n  bdia eval %s%s\n  bdia translate %[1]s SENTENCE\n", r.Dir, part)
	case tune.Name:
		fmt.Fprintf(w, "Try it with:\n  bdia eval %s%s\n  bdia generate %[1]s --prompt TEXT\n", r.Dir, part)
	default:
		fmt.Fprintf(w, "Try it with:\n  bdia generate %s\n", r.Dir)
	}
}

// asPlanned compares the arena's real peak with the plan.
func asPlanned(sum train.Summary) string {
	if sum.Peak == sum.Planned {
		return "as planned to the byte"
	}
	return fmt.Sprintf("planned %s", cli.Bytes(sum.Planned.Total))
}

// share is v, of s, for JSON: null where nothing was evaluated.
func share(s train.Score, v float64) any {
	if cli.Number(s.Loss) == nil {
		return nil
	}
	return v
}

// summaryJSON is a summary for machines; unmeasured numbers are null.
func summaryJSON(r *oneRun, sum train.Summary) map[string]any {
	j := map[string]any{
		"run": r.Dir, "steps": sum.Steps, "interrupted": sum.Interrupted, "stopped_early": sum.Stopped,
		"first_val_loss": cli.Number(sum.FirstVal.Loss), "val_loss": cli.Number(sum.LastVal.Loss), "best_val_loss": cli.Number(sum.BestVal.Loss),
		"best_step": sum.BestStep, "train_eval_loss": cli.Number(sum.LastTrain.Loss), "seconds": sum.Seconds, "max_abs": sum.MaxAbs,
		"planned_bytes": sum.Planned.Total, "peak_bytes": sum.Peak.Total,
	}
	if r.Images != nil {
		skipped, _ := r.Images.Skipped()
		j["val_accuracy"], j["val_top5"] = share(sum.LastVal, sum.LastVal.Accuracy), share(sum.LastVal, sum.LastVal.Top5)
		j["best_val_accuracy"], j["train_eval_accuracy"] = share(sum.BestVal, sum.BestVal.Accuracy), share(sum.LastTrain, sum.LastTrain.Accuracy)
		j["images_left_out"] = skipped
	}
	if r.Pairs != nil && r.Pairs.Report != nil {
		j["pairs"] = pairsOf(r.Pairs)
	}
	if r.Config.Tune.From != "" {
		j["calibration"] = calibrationJSON(sum.Calibration)
	}
	return j
}
