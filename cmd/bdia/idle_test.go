package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/train"
	"github.com/bdia-go/bdia/train/images"
	"github.com/bdia-go/bdia/train/pairs"
	"github.com/bdia-go/bdia/train/text"
	"github.com/bdia-go/bdia/train/tune"
)

// otherValues are values of flags that differ from the defaults, with flags that have to stand beside, if any. A command
// before the flag is the one that they are for.
var otherValues = map[string]string{
	"memory": "store", "gamma": "0.25", "grid": "11", "optimizer": "sgd", "schedule": "linear", "update": "end", "on-divergence": "skip", "isa": "portable", "gelu": "erf",
	"tokenizer": "char", "split": "end", "on-bad": "fatal", "on-unknown": "skip --tokenizer folder", "on-long": "fatal", "on-corrupt": "skip", "preset": "nano", "dropout": "0.25",
	"source": "a.txt --target b.txt", "target": "b.txt --source a.txt", "val-source": "c.txt --val-target d.txt --source a.txt --target b.txt",
	"val-target": "d.txt --val-source c.txt --source a.txt --target b.txt", "format": "csv", "source-column": "2 --data a.csv", "target-column": "3 --data a.csv",
	"prompts": "a.txt --completions b.txt", "completions": "b.txt --prompts a.txt", "prompt-column": "2 --data a.csv", "completion-column": "3 --data a.csv",
	"header": "none --data a.csv", "delimiter": "tab --data a.csv", "val-completions": "d.txt --val c.txt --prompts a.txt --completions b.txt",
	"lora-alpha": "3 --lora-rank 2", "lora-dropout": "0.25 --lora-rank 2", "lora-targets": "all --lora-rank 2", "lora-rank": "2", "weights": "bf16", "momentum": "0.25 --optimizer sgd",
	"eps": "1e-5", "sample-tokens": "7 --sample-every 3", "rand-magnitude": "3 --rand-ops 1", "mean": "0.1,0.2,0.3 --std 0.2,0.2,0.2", "std": "0.1,0.2,0.3 --mean 0.2,0.2,0.2",
	"state-bits": "8", "table-bits": "32 --state-bits 8", "heads": "2 --width 64", "width": "64 --heads 2", "mlp": "64", "image": "24 --patch 8", "patch": "16", "epochs": "2", "bpe-vocab": "300", "micro-batch": "2 --batch 4",
	"precision": "bf16", "batch": "4", "untied": "true --shared=false", "ema": "0.5 --update end", "min-chars": "2", "clip": "1 --update end", "label-smoothing": "0.25", "lr": "0.25",
	"train text untied": "true", "train images preset": "vit-s", "train translation preset": "base", "train images gelu": "tanh", "max-ratio": "3", "context": "64", "layers": "3", "window": "16", "freeze": "1",
}

// otherValue is a value of a flag of command that is not its default, with the flags beside it.
func otherValue(command string, flag *pflag.Flag) string {
	if v, ok := otherValues[command+" "+flag.Name]; ok {
		return v
	}
	if v, ok := otherValues[flag.Name]; ok {
		return v
	}
	switch flag.Value.Type() {
	case "bool":
		return fmt.Sprint(flag.DefValue == "false")
	case "int", "int64", "uint64", "steps":
		return "7"
	case "float64", "share":
		return "0.25"
	}
	return "other"
}

// TestFlagsSet: each flag of the commands that train changes the settings, or is refused.
func TestFlagsSet(t *testing.T) {
	t.Parallel()
	elsewhere := []string{"from", "out", "config", "dry-run", "show", "json", "quiet", "help", "help-all", "task", "resume"} // not settings; from needs a folder
	const base = "base"                                                                                                      // of adapters
	tunedText, tunedPairs := text.DefaultTuned(), tune.Default()
	tunedText.Tune.From, tunedPairs.Tune.From = base, base
	fresh := func(name string) func() train.Task { return func() train.Task { return newTask(name) } }
	for command, of := range map[string][]func() train.Task{"train text": {fresh(text.Name)}, "train images": {fresh(images.Name)},
		"train translation": {fresh(pairs.Name)}, "finetune": {func() train.Task { return text.New(tunedText) }, func() train.Task { return tune.New(tunedPairs) }}} {
		c, _, err := newRoot().Find(strings.Fields(command))
		if err != nil {
			t.Fatal(err)
		}
		c.Flags().VisitAll(func(flag *pflag.Flag) {
			if flag.Hidden || slices.Contains(elsewhere, flag.Name) {
				return
			}
			set := false
			var last error
			for _, task := range of {
				changed, err := changes(task, flag.Name, otherValue(command, flag))
				set, last = set || changed || errors.Is(err, images.ErrSamples), err
			}
			if !set {
				t.Errorf("bdia %s --%s %s changes no setting: %v", command, flag.Name, otherValue(command, flag), last)
			}
		})
	}
}

// changes reports whether a flag with a value changes the settings of a task that has the flags behind the value too.
func changes(task func() train.Task, name, value string) (bool, error) {
	words := strings.Fields(value)
	before, after := overrides{}, overrides{name: words[0]}
	for i := 1; i < len(words); i++ {
		key, v, whole := strings.Cut(strings.TrimPrefix(words[i], "--"), "=")
		if !whole {
			i++
			v = words[i]
		}
		before[key], after[key] = v, v
	}
	was, is := task(), task()
	before.settle(was) //nolint:errcheck // it may be a half of what belongs together
	if _, err := after.settle(is); err != nil {
		return false, err
	}
	return fmt.Sprintf("%+v", was.Config()) != fmt.Sprintf("%+v", is.Config()), nil
}

// idleCases are calls with a flag that does nothing beside the others, and what is said of it.
var idleCases = map[string]string{
	"train text --data FILE --momentum 0.9":                                  "--momentum is for sgd, and the optimiser is adamw",
	"train text --data FILE --optimizer set-adam --momentum 0.9":             "the optimiser is set-adam",
	"train text --data FILE --optimizer sgd --beta1 0.8":                     "--beta1 is for adamw and set-adam",
	"train text --data FILE --optimizer sgd --beta2 0.8":                     "--beta2 is for",
	"train text --data FILE --optimizer sgd --eps 1e-5":                      "--eps is for",
	"train text --data FILE --schedule constant --final-lr 0.2":              "--final-lr is for the schedules",
	"train text --data FILE --sample-tokens 9":                               "ask for them with --sample-every",
	"train text --data FILE --tokenizer char --bpe-vocab 300":                "the tokenizer is char",
	"train text --data FILE --tokenizer char --special-tokens":               "char has none",
	"train text --data FILE --on-unknown skip":                               "--on-unknown is for a tokenizer that has not learned the text",
	"train text --data FILE --val FILE --val-fraction 0.2":                   "--val names other text",
	"train text --data FILE --val FILE --split end":                          "--val names other text",
	"train text --data FILE --val-fraction 0 --split end":                    "there is none",
	"train text --data FILE --val-fraction 0 --patience 3":                   "there is none",
	"train text --data FILE --eval-every 0 --patience 3":                     "ask for more with --eval-every",
	"train text --data FILE --extensions .md":                                "--data is a file",
	"train images --data FILE --rand-magnitude 3":                            "--rand-ops",
	"train images --data FILE --test FILE --val-fraction 0.2":                "--test names other images",
	"train images --data FILE --test FILE --split-seed 3":                    "without --subset all are learned",
	"train translation --data a.csv --tokenizer char --bpe-vocab 300":        "the tokenizer is char",
	"train translation --data a.csv --val-source b.csv --pair-seed 3":        "draws pairs to hold out",
	"train translation --data a.csv --val-source b.csv --val-fraction 0.1":   "has its own files",
	"train translation --data a.jsonl --format jsonl --header":               "leave the header out",
	"generate RUN --greedy --top-p 0.5":                                      "--top-p is for choices by chance",
	"plan --preset nano --lora-targets qkv":                                  "ask for them with --lora-rank",
	"generate RUN --greedy --top-k 3":                                        "--top-k is for choices by chance",
	"generate RUN --greedy --seed 3":                                         "--seed is for choices by chance",
	"generate RUN --temperature 0 --min-p 0.1":                               "--min-p is for choices by chance",
	"chat RUN --greedy --top-p 0.5":                                          "--top-p is for choices by chance",
	"chat RUN --greedy --top-k 3":                                            "--top-k is for choices by chance",
	"chat RUN --greedy --seed 3":                                             "--seed is for choices by chance",
	"chat RUN --temperature 0 --min-p 0.1":                                   "--min-p is for choices by chance",
	"generate RUN --greedy --beam 3":                                         "give one of them",
	"generate RUN --length-penalty 2":                                        "give --beam too",
	"generate RUN --batch 3":                                                 "--batch is for the prompts of --input",
	"generate RUN --prompt-ids 1,2 --verbatim":                               "--verbatim is for prompts in words, and --prompt-ids are tokens",
	"eval RUN --text FILE --split val":                                       "--split is a part of the run's own data, and --text is another text",
	"eval PAIRS --source FILE --references FILE --split test":                "--split is a part of the run's own data, and --source names other sentences",
	"eval RUN --split test":                                                  "--split test is for runs of translations",
	"eval PAIRS --stride 4":                                                  "--stride is for text",
	"eval IMAGES --adapter FOLDER":                                           "--adapter is for language models",
	"eval RUN --data FOLDER":                                                 "--data is for runs of images",
	"eval IMAGES --gamma 0:0.5:0.25 --split test":                            "--split test is for runs of translations",
	"eval IMAGES --data PHOTOS --split train":                                "--split is for images in parts, such as train/ and val/",
	"eval RUN --special-tokens":                                              "--special-tokens is for the text of --text; give that too",
	"eval RUN --text FILE --special-tokens":                                  "char has none",
	"eval IMAGES --on-corrupt skip":                                          "--on-corrupt is for the images of --data; give that too",
	"eval IMAGES --figure a.svg":                                             "--figure is drawn of --gamma; give that too",
	"eval PAIRS --beam 3":                                                    "--beam is for translating --source; give that too",
	"eval PAIRS --length-penalty 2":                                          "--length-penalty is for translating --source",
	"eval PAIRS --source FILE --references FILE --beam 1 --length-penalty 2": "--length-penalty orders hypotheses, and --beam 1 follows one",
	"translate PAIRS --input FILE --beam 1 --length-penalty 2":               "--length-penalty orders hypotheses, and --beam 1 follows one",
	"generate RUN --beam 1 --length-penalty 2":                               "--length-penalty orders hypotheses, and --beam 1 follows one",
	"generate RUN --n-best 2":                                                "--n-best is for a search; give --beam too",
	"generate RUN --beam 2 --no-cache":                                       "--no-cache is for sampling",
	"bench --model vit --seq 8":                                              "--seq is not a setting of vit",
	"bench --model vit --vocab 8":                                            "--vocab is not a setting of vit",
	"bench --image 8":                                                        "--image is not a setting of gpt",
	"bench --patch 8":                                                        "--patch is not a setting of gpt",
	"bench --classes 8":                                                      "--classes is not a setting of gpt",
	"verify --preset nano --optimizer sgd":                                   "--optimizer is for training, and bdia verify makes no step; leave it out",
	"verify --preset nano --table-bits 32":                                   "--table-bits is for moments of 8 bits",
	"verify --preset nano --state-bits 8":                                    "--state-bits is for training",
	"verify --preset nano --update end":                                      "--update is for training",
	"verify RUN --step 2":                                                    "--step is for --replay",
	"verify RUN --clip 1":                                                    "--clip is for training",
	"verify RUN --encoder":                                                   "--encoder is for task translation; this is task text",
	"verify RUN --float --fault side-bit":                                    "--fault is for the exact check, and --float measures the error",
	"verify RUN --float --memory store":                                      "--memory is for the exact check",
	"verify RUN --float --grid 11":                                           "--grid is for the exact check",
	"verify --preset images/tiny --two-stream --fault side-bit":              "--fault is for the exact check, and RevViT is not exact",
	"verify --preset images/tiny --label-smoothing 0.1":                      "--label-smoothing is for the loss of training",
	"verify --preset translation/tiny --batch 4 --micro-batch 2":             "--micro-batch cuts the batch of a step",
	"plan --preset nano --seed 3":                                            "--seed changes nothing that bdia plan prints; leave it out",
	"plan --preset nano --gelu erf":                                          "--gelu changes the time of a step and not its memory; measure it with --time",
	"plan --preset nano --isa portable":                                      "--isa changes the time of a step",
	"plan --preset nano --dropout 0.1":                                       "--dropout changes the time of a step",
	"plan --preset nano --embedding-dropout 0.1":                             "--embedding-dropout changes the time",
	"plan --preset nano --attention-dropout 0.1":                             "--attention-dropout changes the time",
	"plan --preset nano --residual-dropout 0.1":                              "--residual-dropout changes the time",
	"plan --preset images/tiny --stochastic-depth 0.1":                       "--stochastic-depth changes the time",
	"plan --preset images/tiny --label-smoothing 0.1":                        "--label-smoothing changes the time",
	"plan --preset nano --budget 1GiB --batch 4":                             "--batch is what --budget looks for; give one of them",
	"plan --preset nano --budget 1GiB --micro-batch 2":                       "--budget looks for the largest",
	"plan --preset translation/tiny --budget 1GiB --batch-tokens 99":         "--batch-tokens is what --budget looks for",
	"plan --data FILE --vocab 99":                                            "--vocab comes from --data",
	"plan --task image --data PHOTOS --classes 9":                            "--classes comes from --data",
	"score bleu --hypotheses FILE --references FILE --smooth-value 2":        "--smooth-value",
	"score ter --hypotheses FILE --references FILE --asian-support":          "--asian-support adds to --normalized and --no-punct; give one of them too",
	"export RUN --format gguf --out x --no-cache":                            "--no-cache is for --format onnx",
	"export IMAGES --format onnx --out x --no-cache":                         "--no-cache is for language models",
	"export IMAGES --format onnx --out x --adapter FOLDER":                   "--adapter is for language models",
	"tokenizer train FILE --out x --extensions .md":                          "--extensions chooses files of a folder, and the text is a file",
	"tokenizer train FILE --out x --text-key body":                           "--text-key is for JSON and tables, and the text is plain",
	"tokenizer train FILE --out x --as-text":                                 "--as-text is for JSON and tables",
	"train text --data FILE --text-key body":                                 "--text-key is for JSON and tables, and the text is plain",
	"train text --data FOLDER --extensions .txt --as-text":                   "--as-text is for JSON and tables",
	"inspect RUN --task text":                                                "--task is for data, and RUN is a run; leave it out",
	"inspect RUN --from RUN":                                                 "--from is for data",
}

// TestIdleFlags: a flag that does nothing beside others is refused in one line that says why.
func TestIdleFlags(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := write(t, dir, "a.txt", prose(60))
	names := strings.NewReplacer("FILE", file, "FOLDER", dir, "RUN", trainedRun(t), "IMAGES", imageRun(t), "PHOTOS", photos(), "PAIRS", translatorRun(t))
	for args, want := range idleCases {
		args, want = names.Replace(args), names.Replace(want)
		r := call(strings.Fields(args)...)
		if r.code != cli.ExitUsage || !strings.Contains(r.err, want) || strings.Count(r.err, "\n") != 1 {
			t.Errorf("bdia %s: exit code %d, %q, want %q", args, r.code, r.err, want)
		}
	}
	for _, o := range []overrides{{"momentum": "0"}, {"patience": "0", "val-fraction": "0"}, {"bpe-vocab": "auto", "tokenizer": "char"}} {
		if _, err := o.settle(newTask(text.Name)); err != nil {
			t.Errorf("%v: %v", o, err) // they ask for nothing
		}
	}
}
