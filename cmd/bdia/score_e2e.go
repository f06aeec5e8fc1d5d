package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/bdia-go/bdia/cmd/bdia/internal/cli"
	"github.com/bdia-go/bdia/score"
)

func newScoreE2E() *cobra.Command {
	var hypotheses, references string
	var asJSON bool
	c := &cobra.Command{
		Use:   "e2e --hypotheses FILE --references FILE",
		Short: "The E2E challenge's BLEU, NIST, METEOR, ROUGE-L and CIDEr",
		Long: `Score texts for meaning representations as the script of the E2E NLG challenge
does: BLEU, NIST, METEOR, ROUGE-L and CIDEr, with several references each. METEOR
has its stages exact and stem only, so that its values are not the published ones.

Hypotheses: one line for each distinct meaning representation, in order. References:
a table (.csv, .tsv) with columns mr and ref, or lines with an empty line between
meaning representations.`,
		Example: "  bdia score e2e --hypotheses out.txt --references testset_w_refs.csv\n  bdia score e2e --hypotheses - --references devel-conc.txt --json < out.txt",
		Args:    cli.Arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if hypotheses == "" || references == "" {
				return cli.Usage(errors.New("which files? name them with --hypotheses and --references"))
			}
			streams, closeAll, err := scoreStreams([]string{hypotheses, references}, cmd.InOrStdin())
			defer closeAll()
			if err != nil {
				return err
			}
			e := score.NewE2E()
			err = score.Instances(streams[0], streams[1], func(hypothesis string, references []string) error {
				e.Add(hypothesis, references...)
				return cmd.Context().Err()
			})
			if err != nil {
				return err
			}
			if asJSON {
				return cli.PrintJSON(cmd.OutOrStdout(), e.Result())
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), e.Result())
			return err
		},
	}
	cli.Group(c, "Files", func(f *pflag.FlagSet) {
		f.StringVar(&hypotheses, "hypotheses", "", "`file` to score; - for standard input")
		f.StringVar(&references, "references", "", "`file` of references; - for standard input, of lines then")
	})
	cli.Group(c, "Output", func(f *pflag.FlagSet) { f.BoolVar(&asJSON, "json", false, "print JSON") })
	return c
}
