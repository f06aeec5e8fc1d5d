package export

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/convert"
	"github.com/bdia-go/bdia/hub"
	"github.com/bdia-go/bdia/internal/textfile"
)

// A folder that is exported has the files of the model that the run started from which mean nothing here, for example
// LICENSE and NOTICE. Weights in other formats are not among them: they are another model's after training.

const (
	maxCarried  = 4 << 20 // bytes of a file
	mostCarried = 64      // files
)

// otherWeights end the names of files of weights, in any format.
var otherWeights = []string{".safetensors", ".bin", ".index.json", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack", ".ot", ".npz", ".onnx", ".onnx_data", ".gguf", ".ggml",
	".tflite", ".mlmodel", ".engine"}

// origin is the folder of the model that the export comes from: where licences and the like are.
func (j *job) origin() string {
	if j.Origin != "" {
		return j.Origin
	}
	return j.folder.Weights
}

// carry copies the files into the folder at j.path, and lists them in the report. A note counts the files that stay
// behind, with the first of each reason.
func (j *job) carry() error {
	from := j.origin()
	if j.folder.Kind != convert.GPT || hub.RunOf(from) != "" {
		return nil
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return nil // the model that the run started from has gone
	}
	var reasons []string
	left := map[string][]string{}
	for _, e := range entries {
		name := e.Name()
		if exists(filepath.Join(j.path, name)) || slices.Contains(exportFiles["."], name) || ownFile(name) {
			continue
		}
		why := leftBehind(e)
		var text []byte
		if why == "" && len(j.report.Carried) == mostCarried {
			why = fmt.Sprintf("more than %d files", mostCarried)
		}
		if why == "" {
			text, err = textfile.ReadFile(filepath.Join(from, name), maxCarried)
			switch {
			case errors.As(err, new(*textfile.TooLargeError)):
				why = "larger than 4 MiB"
			case err != nil:
				why = "cannot be read"
			}
		}
		if why != "" {
			if left[why] == nil {
				reasons = append(reasons, why)
			}
			left[why] = append(left[why], name)
			continue
		}
		j.report.Carried = append(j.report.Carried, name)
		if err := createFile(j.path, name, func(w io.Writer) error { _, err := w.Write(text); return err }); err != nil {
			return err
		}
	}
	for _, why := range reasons {
		j.note(fmt.Sprintf("%d left out of what the model's folder has (%s): %q first", len(left[why]), why, left[why][0]))
	}
	return nil
}

// leftBehind says why an entry of a model folder is not carried over; empty: it is.
func leftBehind(e os.DirEntry) string {
	ends := func(end string) bool { return strings.HasSuffix(strings.ToLower(e.Name()), end) }
	switch {
	case strings.HasPrefix(e.Name(), "."):
		return "hidden"
	case e.IsDir():
		return "folders"
	case slices.ContainsFunc(otherWeights, ends):
		return "weights"
	}
	return ""
}

// ownFile reports a file of weights that the export has in its own form, or one of ours that says nothing to others.
func ownFile(name string) bool {
	ok, _ := path.Match("model-*-of-*.safetensors", name)
	return ok || slices.Contains([]string{"model.safetensors.index.json", convert.OriginFile, convert.AdapterFile, convert.AdapterConfigFile}, name)
}
