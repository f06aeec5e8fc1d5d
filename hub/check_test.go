package hub

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bdia-go/bdia/checkpoint"
)

// TestManifestOfOthers: other software's manifest.json beside a model is not looked at; one of a later version of this
// library is an error, and so is every one in a run's folder.
func TestManifestOfOthers(t *testing.T) {
	t.Parallel()
	const extension = `{"manifest_version":3,"version":3}`
	for _, tc := range []struct {
		text string
		run  bool
		want error
	}{
		{extension, false, nil},
		{`{"name":"app","version":"2.1.0"}`, false, nil},
		{`["model.safetensors"]`, false, nil},
		{strings.Repeat(" ", 5<<20), false, nil},
		{`{"version":2,"hash":"blake3","files":{}}`, false, checkpoint.ErrVersion},
		{extension, true, checkpoint.ErrVersion},
		{`["model.safetensors"]`, true, checkpoint.ErrDamaged},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, checkpoint.ManifestFile), []byte(tc.text), 0o666); err != nil {
			t.Fatal(err)
		}
		if tc.run {
			if err := os.WriteFile(filepath.Join(dir, RunFile), nil, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		if m, err := manifestOf(dir); m != nil || !errors.Is(err, tc.want) {
			t.Errorf("%.40s: %v, %v", tc.text, m, err)
		}
	}
}
