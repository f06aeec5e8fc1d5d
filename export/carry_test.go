package export

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/backend"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/internal/testkit"
)

// TestCarry: a folder has the licences and other files of the model that it was made from, and not its weights in other
// formats; the card has its licence and its name on the Hub. --force replaces it as long as nobody has changed it.
func TestCarry(t *testing.T) {
	t.Parallel()
	from, out := folder(t).Dir, filepath.Join(t.TempDir(), "out")
	put := func(name, text string) { testkit.OK(t, os.WriteFile(filepath.Join(from, name), []byte(text), 0o666)) }
	put("LICENSE", "the licence\n")
	put("NOTICE.txt", "a notice")
	put("unknown.json", "{}")
	put("README.md", "---\r\nlicense: other\r\nlicense_name: mine\r\nbase_model: x\r\n---\r\n# Of theirs\n")
	put("pytorch_model.bin", "weights")
	put("model.Q8_0.gguf", "weights")
	put(".gitattributes", "")
	put("generation_config.json", `{"do_sample":   true}`)
	testkit.OK(t, os.Mkdir(filepath.Join(from, "onnx"), 0o777))
	testkit.OK(t, os.Truncate(filepath.Join(from, "unknown.json"), 2))
	big, err := os.Create(filepath.Join(from, "big.txt"))
	testkit.OK(t, err)
	testkit.OK(t, big.Truncate(maxCarried+1))
	testkit.OK(t, big.Close())
	config, err := os.ReadFile(filepath.Join(from, "config.json"))
	testkit.OK(t, err)
	put("config.json", strings.Replace(string(config), "{", `{"_name_or_path": "some-one/their-model",`, 1))

	f, err := hub.Open(from, hub.Options{})
	testkit.OK(t, err)
	o := Options{Format: "hf", Out: out, Device: backend.Options{Threads: 1}, Card: &Card{Base: "theirs", Data: []string{"pairs.csv", "7: odd\nname"}}}
	r, err := Write(t.Context(), f, RandomSample(f), o)
	testkit.OK(t, err)
	for name, want := range map[string]string{"LICENSE": "the licence\n", "NOTICE.txt": "a notice", "unknown.json": "{}", "generation_config.json": `{"do_sample":   true}`} {
		if got, err := os.ReadFile(filepath.Join(out, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"pytorch_model.bin", "model.Q8_0.gguf", ".gitattributes", "onnx", "big.txt"} {
		if exists(filepath.Join(out, name)) {
			t.Errorf("%s was carried over", name)
		}
	}
	for _, want := range []string{`2 left out of what the model's folder has (weights): "model.Q8_0.gguf" first`, `(hidden): ".gitattributes" first`, `(folders): "onnx" first`, `(larger than 4 MiB): "big.txt" first`} {
		if !slices.ContainsFunc(r.Notes, func(note string) bool { return strings.Contains(note, want) }) {
			t.Errorf("no note %q in %q", want, r.Notes)
		}
	}
	card, err := os.ReadFile(filepath.Join(out, "README.md"))
	testkit.OK(t, err)
	if want := []string{"LICENSE", "NOTICE.txt", "unknown.json"}; !slices.Equal(r.Carried, want) || !strings.Contains(string(card), "| Carried over | unchanged from the folder of the model that it was made from: LICENSE, NOTICE.txt, unknown.json |\n") {
		t.Errorf("carried over are %q, want %q, and the card says\n%s", r.Carried, want, card)
	}
	const front = "---\npipeline_tag: text-generation\nlibrary_name: transformers\nbase_model: some-one/their-model\nlicense: other\nlicense_name: mine\n" +
		"datasets:\n- pairs.csv\n- \"7: odd\\nname\"\ntags:\n- bdia\n---\n"
	if !strings.HasPrefix(string(card), front) {
		t.Errorf("the card begins\n%.400s\nwant\n%s", card, front)
	}

	o.Force = true
	_, err = Write(t.Context(), f, RandomSample(f), o)
	testkit.OK(t, err)
	testkit.OK(t, os.WriteFile(filepath.Join(out, "LICENSE"), []byte("changed"), 0o666))
	if _, err := Write(t.Context(), f, RandomSample(f), o); err == nil || !strings.Contains(err.Error(), "has LICENSE, which no export writes") {
		t.Errorf("over a changed licence: %v", err)
	}
}
