package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
)

// heeded are flags that do something whatever stands beside them, or ask for what happens anyway, by their command. The
// others are refused in a case of idleCases, or compared in TestHeededSizes, or settings (TestFlagsSet).
var heeded = map[string]string{
	"bdia eval":             "from samples best text gamma source references json threads isa quiet precision",
	"bdia translate":        "input output on-long on-bad json beam n-best max-tokens batch-tokens threads isa quiet precision",
	"bdia classify":         "top csv json gamma batch threads isa precision",
	"bdia generate":         "from prompt input output json max-tokens min-tokens stop temperature greedy beam prompt-ids print-ids repetition-penalty ignore-eos grid adapter threads isa quiet precision",
	"bdia chat":             "from system context json quiet max-tokens min-tokens stop temperature greedy repetition-penalty grid adapter threads isa precision",
	"bdia bench":            "model preset from layers heads width mlp batch optimizer state-bits table-bits micro-batch update weights lora-rank lora-targets freeze memory steps threads isa json precision",
	"bdia verify":           "task preset json float threads isa gelu files replay precision",
	"bdia diff":             "json",
	"bdia plan":             "task preset json config time budget data from memory gamma grid state-bits table-bits optimizer micro-batch update clip lora-targets quiet precision",
	"bdia compare":          "figure format each json",
	"bdia score bleu":       "hypotheses references allow-empty tokenize lowercase smooth effective-order sentences json",
	"bdia score chrf":       "hypotheses references allow-empty char-order word-order beta lowercase whitespace eps-smoothing sentences json",
	"bdia score ter":        "hypotheses references allow-empty normalized no-punct case-sensitive sentences json",
	"bdia score e2e":        "hypotheses references json",
	"bdia export":           "from format out dtype best force json threads isa precision",
	"bdia tokenizer train":  "out vocab min-frequency max-bytes on-bad json quiet",
	"bdia tokenizer encode": "count raw bare json",
	"bdia tokenizer info":   "json",
	"bdia tokenizer decode": "json",
	"bdia inspect":          "source target samples json quiet",
	"bdia quickstart":       "seconds out threads isa json quiet precision",
}

// TestEveryFlagAnswered: of each flag of each command it is known when it does nothing.
func TestEveryFlagAnswered(t *testing.T) {
	t.Parallel()
	refused := map[string]bool{} // "bdia eval split"
	for args, want := range idleCases {
		c, _, err := newRoot().Find(strings.Fields(args))
		if err != nil {
			t.Fatal(err)
		}
		flag, _, _ := strings.Cut(want, " ")
		refused[c.CommandPath()+" "+strings.TrimPrefix(flag, "--")] = true
	}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			walk(sub)
		}
		path, known := c.CommandPath(), strings.Fields(heeded[c.CommandPath()])
		if trains := strings.HasPrefix(path, "bdia train") || path == "bdia finetune"; trains {
			return
		}
		c.Flags().VisitAll(func(flag *pflag.Flag) {
			name := flag.Name
			if strings.HasPrefix(name, "help") || slices.Contains(known, name) || refused[path+" "+name] || slices.ContainsFunc(sized, func(s sizedCase) bool { return s.command == c.Name() && s.answers(name) }) {
				return
			}
			t.Errorf("when does %s --%s do nothing? Put it into heeded or idleCases", path, name)
		})
		for _, name := range known {
			if c.Flags().Lookup(name) == nil {
				t.Errorf("%s has no flag --%s", path, name)
			}
		}
	}
	walk(newRoot())
}

// sizedCase is a call that prints numbers of a model, with values of flags that change them.
type sizedCase struct{ command, args, flags string }

func (s sizedCase) answers(name string) bool {
	return strings.Contains(" "+s.flags, " --"+name+" ") || strings.Contains(" "+s.flags, " --"+name+"=")
}

var sized = []sizedCase{
	{"plan", "--task text --layers 5 --heads 2 --width 16 --context 8 --vocab 11 --batch 2",
		"--layers=4 --heads=1 --width=32 --context=16 --vocab=13 --batch=3 --mlp=40 --untied=true --no-bias=true --weights=bf16 --threads=3 --lora-rank=2 --freeze=1 --window=4 --memory=store "},
	{"plan", "--task image --layers 5 --heads 2 --width 16 --image 8 --patch 4 --classes 3 --batch 2",
		"--layers=4 --image=12 --patch=2 --classes=5 --mean-pool=true --two-stream=true "},
	{"plan", "--task translation --layers 5 --heads 2 --width 16 --context 8 --batch-tokens 64",
		"--layers=4 --batch-tokens=96 --batch=1 --shared=false --sinusoidal=true --untied=true "},
	{"verify", "--task text --layers 5 --heads 2 --width 16 --context 8 --vocab 11 --batch 2",
		"--layers=4 --heads=1 --width=32 --context=16 --vocab=13 --batch=4 --mlp=40 --untied=true --no-bias=true --weights=bf16 --seed=3 --gamma=0.25 --grid=11 --dropout=0.25 --embedding-dropout=0.25 --attention-dropout=0.25 --residual-dropout=0.25 --micro-batch=1 --float=true "},
	{"verify", "--task image --layers 5 --heads 2 --width 16 --image 8 --patch 4 --classes 3 --batch 2",
		"--image=12 --patch=2 --classes=5 --mean-pool=true --stochastic-depth=0.5 --two-stream=true "},
	{"verify", "--task translation --layers 5 --heads 2 --width 16 --context 8 --batch-tokens 64",
		"--batch-tokens=96 --batch=1 --shared=false --sinusoidal=true --label-smoothing=0.25 --encoder=true "},
}

// TestHeededSizes: each of these flags changes what is printed.
func TestHeededSizes(t *testing.T) {
	t.Parallel()
	for _, s := range sized {
		args := append([]string{s.command, "--json"}, strings.Fields(s.args)...)
		was := mustCall(t, args...)
		for _, flag := range strings.Fields(s.flags) {
			if is := call(append(slices.Clone(args), flag)...); is.code != cli.ExitOK || is.out == was.out {
				t.Errorf("bdia %s %s %s: exit code %d, changes nothing: %s", s.command, s.args, flag, is.code, is.err)
			}
		}
	}
}
