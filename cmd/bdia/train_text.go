package main

import (
	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia/train/text"
)

func newTrainText() *cobra.Command {
	t := text.New(text.Default())
	return trainer(&cobra.Command{
		Use:   "text",
		Short: "Train a language model on text",
		Long: `Train a language model on a text: a file, or the text files of a folder. It is of GPT-2's
kind, or with a --preset of Llama's or Qwen's. Sizes are tokens, samples or steps; the vocabulary is the tokenizer's.`,
		Example: `  bdia train text --data input.txt --layers 4 --heads 4 --width 128
  bdia train text --data corpus/ --tokenizer bpe --preset nano --dropout 0.1
  bdia train text --data input.txt --memory store --gamma 0 --grid none`,
	}, t, textGroups(&t.Settings))
}
