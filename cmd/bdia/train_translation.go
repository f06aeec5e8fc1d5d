package main

import (
	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia/train/pairs"
)

func newTrainTranslation() *cobra.Command {
	t := pairs.New(pairs.Default())
	return trainer(&cobra.Command{
		Use:   "translation",
		Short: "Train an encoder-decoder on sentences and their translations",
		Long: `Train an encoder-decoder on two files, line n of one the translation of line n of
the other, or on a table. A batch has as many pairs of similar lengths as
--batch-tokens allow. Pairs are held out by source sentence.`,
		Example: `  bdia train translation --source train.en.gz --target train.fr.gz
  bdia train translation --data eng_-french.csv --batch-tokens 8192`,
	}, t, translationGroups(&t.Settings))
}
