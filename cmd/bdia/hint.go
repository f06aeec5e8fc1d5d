package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/chat"
	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/data"
	"github.com/bdia-go/bdia/data/images"
	"github.com/bdia-go/bdia/data/pairs"
	"github.com/bdia-go/bdia/export"
	"github.com/bdia-go/bdia/generate"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/model"
	"github.com/bdia-go/bdia/tokenizer"
	"github.com/bdia-go/bdia/train"
	trainimages "github.com/bdia-go/bdia/train/images"
	trainpairs "github.com/bdia-go/bdia/train/pairs"
	"github.com/bdia-go/bdia/train/text"
	"github.com/bdia-go/bdia/train/tune"
)

// Libraries do not know the flags of this program. Their errors say what is wrong and leave out how to mend it with a
// flag; hints add that. A new typed error of a library gets its line here, for example
//
//	as(func(e *bdia.GridError) string { return fmt.Sprintf("use --grid %d", e.Fits) }),
var hints = []func(error) string{
	as(func(*backend.MemoryError) string {
		return "that is --batch, or another --memory; bdia plan --budget says what fits"
	}),
	as(func(*backend.MemoryError) string { return "bdia plan --budget says what fits" }), // of other commands
	as(func(*bdia.RangeError) string { return "a coarser grid is a smaller --grid" }),
	is(model.ErrDiverged, "--on-divergence rewind goes back to a checkpoint and on at a lower rate"),
	as(optionsHint),
	is(checkpoint.ErrLocked, "name it with --out"),
	as(damageHint),
	as(func(*images.DamagedError) string { return "or leave such images out with --on-corrupt skip" }),
	as(otherCommand),
	as(fetchHint),
	is(hub.ErrNoRun, "--best is for run directories"),
	is(hub.ErrAdapters, "bdia export --format hf merges adapters into the weights beside them"),
	is(chat.ErrNone, "bdia generate continues a text without one; else put the model's chat_template.jinja into its folder"),
	as(func(*generate.LongTalkError) string { return "see --context" }),
	as(func(*generate.LongError) string { return "--on-long skip or truncate does so" }),
	as(func(e *export.PlaceError) string {
		if e.Exists {
			return "--force replaces it, --out names another"
		}
		return "name it with --out"
	}),
	as(updateHint),
	as(func(e *train.LostStateError) string {
		return fmt.Sprintf("bdia finetune, bdia train images and bdia train translation start a new run with --from %s", e.Dir)
	}),
	as(func(e *train.PrecisionError) string {
		return fmt.Sprintf("bdia train resume %s --precision %v goes on in it, with other bits", e.Dir, e.Is)
	}),
	as(func(e *train.StateError) string { return "the settings of a run are in its bdia.yaml" }),
	as(func(e *train.EpochsError) string {
		if n := e.Want(); n > 0 {
			return fmt.Sprintf("that is --steps %d", n)
		}
		return "change that with --steps"
	}),
	as(func(e *tune.GridError) string { return "use --grid " + e.Fits.String() }),
	is(tune.ErrNoGrid, "use --memory recompute --gamma 0 --grid none"),
	is(tune.ErrUntrained, "that is --from"),
	is(tune.ErrAveraged, "that is --ema"),
	is(text.ErrNoText, "that is --data"),
	is(data.ErrNotUTF8, "or leave such text out with --on-bad skip"),
	is(tokenizer.ErrMemory, "that is --max-bytes"),
	as(textKeyHint),
	as(unknownHint),
	as(moreHint),
	is(trainimages.ErrNoImages, "that is --data"),
	as(func(e *trainimages.MovedError) string {
		if e.Known {
			return "bdia train resume RUN --data FOLDER and bdia eval RUN --data FOLDER do so"
		}
		return ""
	}),
	is(trainimages.ErrSamples, "leave out --sample-every"),
	is(trainpairs.ErrNoPairs, "that is --source and --target, or --data"),
	as(func(*tune.ColumnsError) string { return "choose them with --prompt-column and --completion-column" }),
	as(longHint),
	is(pairs.ErrColumns, "choose them with --source-column and --target-column"),
	is(train.ErrExists, "continue it with bdia train resume, or choose another folder with --out"),
}

// fetchHint says how to get a model that is not there.
func fetchHint(e *hub.NoModelError) string {
	switch {
	case e.Run:
		return "bdia train resume " + e.Path + " goes on with it"
	case e.Hub != "":
		dir := path.Base(e.Hub)
		return fmt.Sprintf("bdia downloads nothing: fetch it with git clone https://huggingface.co/%s (git-lfs has to be installed), or with hf download %[1]s --local-dir %s",
			e.Hub, dir)
	case e.Missing && len(e.Near) == 0:
		return "name the folder of a run or model"
	}
	return ""
}

// damageHint names the other checkpoints of a run that is damaged.
func damageHint(e *checkpoint.DamagedError) string {
	run := hub.RunOf(e.Dir)
	if run == "" {
		return ""
	}
	var others []string
	names, _ := train.OtherCheckpoints(run)
	for _, name := range names {
		dir := filepath.Join(run, filepath.FromSlash(name))
		if _, err := checkpoint.ReadManifest(dir); err == nil && dir != filepath.Clean(e.Dir) {
			others = append(others, dir)
		}
	}
	text := fmt.Sprintf("bdia verify %s --files compares all files", run)
	if len(others) > 0 {
		text += "; other checkpoints: " + strings.Join(others, ", ")
	}
	return text
}

// moreHint says how a run that has learned its text learns another one.
func moreHint(e *train.ChangeError) string {
	if e.Setting == "data.more" {
		return "bdia finetune --from RUN/best --data TEXT learns more text from where the run ended"
	}
	if e.Setting != "data.path" {
		return ""
	}
	return fmt.Sprintf("bdia finetune --from RUN/best --data %v learns more text from where the run ended", e.To)
}

// textKeyHint names the ways to read JSON and tables in which no text is known.
func textKeyHint(e *data.KeysError) string {
	const ways = "--text-key, or --as-text for the file as it is"
	for _, key := range []string{"prompt", "completion", "instruction", "question", "answer", "messages", "conversations", "source", "target"} {
		if slices.Contains(e.Keys, key) {
			return "bdia finetune learns such pairs; a text alone is " + ways
		}
	}
	return "that is " + ways
}

// unknownHint names the ways to treat characters that a tokenizer lacks.
func unknownHint(e *text.UnknownError) string {
	if e.Fixed {
		return "--on-unknown skip leaves them out; without --lora-rank and --freeze the model gets them"
	}
	return "--on-unknown extend gives the model new tokens, --on-unknown skip leaves them out"
}

// updateHint names the flags of updates that can be.
func updateHint(e *train.UpdateError) string {
	if e.Clip > 0 {
		return "that is --update end or --clip 0"
	}
	return "that is --update end or --micro-batch 0"
}

// optionsHint names the flags of a method that can be.
func optionsHint(e *bdia.OptionsError) string {
	switch {
	case e.TwoStream:
		return "that is --gamma 0 --grid none"
	case e.Grid == bdia.NoGrid:
		return "that is --grid 9, or --memory store or recompute"
	}
	return "that is --memory store or recompute"
}

// takes names the command that uses a kind of model.
var takes = map[convert.Kind]string{convert.GPT: "generate", convert.ViT: "classify", convert.Seq2Seq: "translate"}

// otherCommand names the command that takes the model that another command got, and what makes the model that it wants.
func otherCommand(e *convert.KindError) string {
	text := "bdia " + takes[e.Have] + " takes it"
	if e.Want == convert.Seq2Seq {
		text += "; bdia train translation makes an encoder-decoder"
	}
	return text
}

// hint returns the way out of err on the command line, or nothing. It names no flags that c lacks.
func hint(c *cobra.Command, err error) string {
	for _, of := range hints {
		if text := of(err); text != "" && fits(c, text) {
			return text
		}
	}
	return ""
}

// is gives errors that wrap target a hint.
func is(target error, text string) func(error) string {
	return func(err error) string {
		if errors.Is(err, target) {
			return text
		}
		return ""
	}
}

// as gives errors that wrap one of type E a hint, which may have its fields in it. An empty text is no hint.
func as[E error](text func(E) string) func(error) string {
	return func(err error) string {
		var e E
		if errors.As(err, &e) {
			return text(e)
		}
		return ""
	}
}

// explain is an error of command c as a user reads it: one line, with its hint. It leaves out a hint that names flags
// which c lacks.
func explain(c *cobra.Command, err error) string {
	text := cli.OneLine(err)
	h := hint(c, err)
	if h == "" && errors.Is(err, fs.ErrNotExist) {
		h = addressHint(c)
	}
	if h != "" {
		text += "; " + h
	}
	return text
}

// addressHint says what to do with the address of a file that c was given in place of a path; empty: there is none.
func addressHint(c *cobra.Command) (hint string) {
	if c == nil {
		return ""
	}
	c.Flags().Visit(func(f *pflag.Flag) {
		if v := f.Value.String(); strings.HasPrefix(v, "http://") || strings.HasPrefix(v, "https://") {
			hint = fmt.Sprintf("bdia downloads nothing: fetch it first, for example with curl -LO %s", v)
		}
	})
	return hint
}

// fits reports whether c has the flags that a hint names. A hint that begins with a command names that one's.
func fits(c *cobra.Command, hint string) bool {
	if c == nil || strings.HasPrefix(hint, "bdia ") {
		return true
	}
	for _, word := range strings.Fields(hint) {
		if name, ok := strings.CutPrefix(strings.TrimRight(word, ",;"), "--"); ok {
			if flag := c.Flags().Lookup(name); flag == nil || flag.Hidden && !flag.Changed {
				return false
			}
		}
	}
	return true
}
