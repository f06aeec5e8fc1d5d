package export

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"

	"github.com/bdia-go/bdia"
	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/model"
)

// Card is what a model card says beside what the model itself tells. It names no folders: a card is for others.
type Card struct {
	Base string   // name of the model that the run started from; empty: it began with initial weights
	Data []string // names of the files or folders that it learned from
	Rows []Detail // settings and scores, in their order
}

// Detail is a line of a table.
type Detail struct{ Name, Value string }

// cardFile is the name of the model card in a folder.
const cardFile = "README.md"

// kinds name what a model does, for people and for Hugging Face's Hub.
var kinds = map[convert.Kind]struct{ text, task string }{
	convert.GPT:     {"A language model of GPT-2's kind", "text-generation"},
	convert.ViT:     {"A vision transformer, which classifies images", "image-classification"},
	convert.Seq2Seq: {"An encoder-decoder, which translates", "translation"},
}

// card is the text of the model card.
func (j *job) card() string {
	var b strings.Builder
	f, kind := j.folder, kinds[j.folder.Kind]
	if family := f.GPTInfo.Config.Family; f.Kind == convert.GPT && family != model.GPT2 {
		kind.text = fmt.Sprintf("A language model of the kind %s", family)
	}
	j.front(&b, kind.task)
	fmt.Fprintf(&b, "\n# %s\n\n%s, trained and written by [bdia](https://github.com/bdia-go/bdia).\n\n| | |\n|---|---|\n", oneLine(j.Name), kind.text)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "| %s | %s |\n", oneLine(name), oneLine(value))
		}
	}
	row("Model", j.sizes())
	if j.Card != nil {
		row("Started from", j.Card.Base)
		row("Data", strings.Join(j.Card.Data, ", "))
		for _, d := range j.Card.Rows {
			row(d.Name, d.Value)
		}
	}
	if f.Grid != bdia.NoGrid {
		row("Grid of training", fmt.Sprintf("multiples of 2^-%s; what is written computes in floating point", f.Grid))
	}
	if f.Run != "" {
		row("Precision of training", precisionText(f.Precision))
	}
	row("Written as", fmt.Sprintf("%s, weights of %s; the largest difference of a logit is %.3g, of logits up to %.4g", j.report.Format, j.report.DType, j.report.GridFile, j.report.LargestAbs))
	row("Carried over", carried(j.report.Carried))
	j.promptForm(&b)
	j.use(&b)
	return signed(b.String(), "<!-- ", " -->")
}

// carried names the files that are the base model's; empty: there are none.
func carried(names []string) string {
	if len(names) == 0 {
		return ""
	}
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = name
		if strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) || strings.ContainsRune("`|<>[]*\\", r) }) {
			quoted[i] = strconv.Quote(name)
		}
	}
	return "unchanged from the folder of the model that it was made from: " + strings.Join(quoted, ", ")
}

// precisionText says what a precision is.
func precisionText(p backend.Precision) string {
	if p == backend.Float32 {
		return p.String()
	}
	return fmt.Sprintf("%v: operands of matrix products were rounded to it, with float32 sums; weights are float32", p)
}

// about says in what is written how the model was trained, if that is another way than float32.
func (j *job) about() string {
	if j.folder.Precision == backend.Float32 {
		return ""
	}
	return "Precision of training: " + precisionText(j.folder.Precision)
}

// sizes describes the model.
func (j *job) sizes() string {
	switch f := j.folder; f.Kind {
	case convert.ViT:
		c := f.ViTInfo.Config
		return fmt.Sprintf("%d blocks, width %d, %d heads, images of %d pixels a side, %d classes", c.Layers, c.Width, c.Heads, c.Image, c.Classes)
	case convert.Seq2Seq:
		c := f.Seq2SeqInfo.Config
		return fmt.Sprintf("%d and %d blocks, width %d, %d heads, vocabularies of %d and %d", c.EncoderLayers, c.DecoderLayers, c.Width, c.Heads, c.SourceVocab, c.TargetVocab)
	default:
		c := f.GPTInfo.Config
		heads := fmt.Sprintf("%d heads", c.Heads)
		if c.KVHeads > 0 && c.KVHeads < c.Heads {
			heads += fmt.Sprintf(" of queries, %d of keys", c.KVHeads)
		}
		return fmt.Sprintf("%d blocks, width %d, %s, context of %d tokens, vocabulary of %d", c.Layers, c.Width, heads, c.Context, c.Vocab)
	}
}

// promptForm says how prompts are written, if the run learned a form.
func (j *job) promptForm(b *strings.Builder) {
	if j.folder.Chat != nil {
		b.WriteString("\n## Prompts\n\nThe model learned answers in conversations as its chat template writes them, and takes a prompt as a user's message. Use it\n" +
			"with programs that apply the template, which is in what was written.\n")
	}
	s := j.folder.Separator
	if s == nil {
		return
	}
	quoted := strconv.Quote(*s)
	fmt.Fprintf(b, "\n## Prompts\n\nThe model learned prompts with their completions: the prompt, the separator `%s`, the completion, the token for the end of\na text. "+
		"So a prompt for it is the text and `%[1]s`, exactly. Other programs do not put the separator there by themselves.\n", strings.ReplaceAll(quoted, "`", "\\u0060"))
	if j.Talk {
		fmt.Fprintf(b, "\nIts prompts are conversations: a line `role: content` for each message, and at last `assistant:`, for example\n\n    %s\n", strconv.Quote("user: Hello\nassistant:"+*s))
	}
}

// use shows how other programs use what was written.
func (j *job) use(b *strings.Builder) {
	name, prompt := filepath.Base(filepath.Clean(j.Out)), "Once upon a time"
	question := func() string { return strconv.Quote(prompt) } // in Python and JavaScript
	if j.folder.Chat != nil {
		question = func() string { return `[{"role": "user", "content": "Hello"}]` }
	}
	if s := j.folder.Separator; s != nil {
		prompt += *s
		if j.Talk {
			prompt = "user: Hello\nassistant:" + *s
		}
	}
	chars := j.folder.Tokenizer != nil && j.folder.Tokenizer.Kind() == "char"
	heading := func(program string) { fmt.Fprintf(b, "\n## %s\n\n", program) }
	switch kind := j.folder.Kind; {
	case j.Format == "gguf":
		heading("llama.cpp and Ollama")
		fmt.Fprintf(b, "    llama-cli -m %s -no-cnv -c %d -n 100 -p %s\n    ollama create %s -f %s\n", shell(name), j.usualContext(), ansi(prompt), strings.ToLower(j.Name), shell(besideName(name, modelfileEnd)))
		if j.template() != "" {
			fmt.Fprintf(b, "\nA conversation, by the template in the file: `llama-cli -m %s -cnv`.\n", shell(name))
		}
	case chars:
		b.WriteString("\nIts vocabulary is of characters (`chars.json`), which transformers, transformers.js and onnxruntime do not know: they take\n" +
			"its tokens, not text. llama.cpp reads it: export it to gguf.\n")
	case j.Format == "hf" && kind == convert.GPT:
		heading("transformers")
		fmt.Fprintf(b, "    from transformers import pipeline\n    generate = pipeline('text-generation', '%s')\n    print(generate(%s, max_new_tokens=100))\n", name, question())
	case j.Format == "hf" && kind == convert.ViT:
		heading("transformers")
		fmt.Fprintf(b, "    from transformers import pipeline\n    classify = pipeline('image-classification', '%s')\n    print(classify('photo.jpg'))\n", name)
	case j.Format == "onnx" && kind == convert.GPT && !j.NoCache && !j.oneFile():
		heading("transformers.js")
		fmt.Fprintf(b, "    import { env, pipeline } from '@huggingface/transformers'; env.localModelPath = '.';\n    const generate = await pipeline('text-generation', '%s', { dtype: 'fp32' });\n    console.log(await generate(%s, { max_new_tokens: 100 }));\n", name, question())
	case j.Format == "onnx" && kind == convert.ViT && !j.oneFile():
		heading("transformers.js")
		fmt.Fprintf(b, "    import { env, pipeline } from '@huggingface/transformers'; env.localModelPath = '.';\n    const classify = await pipeline('image-classification', '%s', { dtype: 'fp32' });\n    console.log(await classify('photo.jpg'));\n", name)
	}
	if len(j.Commands) > 0 {
		heading("bdia")
		for _, command := range j.Commands {
			fmt.Fprintf(b, "    %s\n", oneLine(strings.ReplaceAll(command, "{}", shell(name))))
		}
	} else if j.Format == "hf" {
		b.WriteString("\nThe folder is a model folder of bdia too.\n")
	}
}

// usualContext is a context for llama.cpp: the file's, but no more than most texts need, since its memory grows with
// it.
func (j *job) usualContext() int { return min(convert.GGUFContext(j.folder.GPTInfo.Config), 8192) }

// oneLine is a text for a line of Markdown.
func oneLine(s string) string {
	return strings.NewReplacer("\r", " ", "\n", " ", "|", "\\|").Replace(s)
}

// shell is a text as one word of a shell.
func shell(s string) string {
	if s != "" && !strings.ContainsAny(s, " \t\n\"'\\$`!*?[](){}<>|&;#~") {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// ansi is a text as one word of a shell, line breaks as \n.
func ansi(s string) string {
	if !strings.ContainsAny(s, "\n\t\r") {
		return shell(s)
	}
	return "$'" + strings.NewReplacer(`\`, `\\`, "'", `\'`, "\n", `\n`, "\t", `\t`, "\r", `\r`).Replace(s) + "'"
}
