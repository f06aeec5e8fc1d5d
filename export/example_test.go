package export_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	_ "github.com/bdia-go/bdia/backend/cpu" // the device cpu
	"github.com/bdia-go/bdia/export"
	"github.com/bdia-go/bdia/hub"
)

// A model is written for llama.cpp, read back and compared with the original on a sample.
func ExampleWrite() {
	dir, err := os.MkdirTemp("", "export-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	folder, err := hub.Open("../train/testdata/oldruns/base", hub.Options{})
	if err != nil {
		panic(err)
	}
	report, err := export.Write(context.Background(), folder, export.RandomSample(folder),
		export.Options{Format: "gguf", Out: filepath.Join(dir, "model.gguf")})
	if err != nil {
		panic(err)
	}
	fmt.Println(report.DType, report.Logits, "logits,", report.FloatFile, "apart at most")
	// Output: f32 17920 logits, 0 apart at most
}
