package train

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bdia-go/bdia/checkpoint"
	"github.com/bdia-go/bdia/metric"
)

// RunDiff is how two runs differ. Where nothing differs, it is empty.
type RunDiff struct {
	Settings []SettingDiff `json:"settings,omitempty"`
	// Records is the first difference of what they recorded, times and speed left out, and Certificates the first of
	// digests, which name the block. A run that recorded fewer steps differs at the first that it lacks.
	Records      *metric.Difference `json:"records,omitempty"`
	Certificates *metric.Difference `json:"certificates,omitempty"`
	// Certified says that both runs have certificates.
	Certified bool `json:"certified"`
	// Files are the weights and moments of the latest checkpoints that differ, if both are of one step.
	Files []string `json:"files,omitempty"`
}

// SettingDiff is a setting of two runs. A run that lacks it has an empty value.
type SettingDiff struct {
	Name string `json:"name"`
	A    string `json:"a"`
	B    string `json:"b"`
}

// Same reports whether the runs computed the same. Their settings may differ, for example in threads.
func (d *RunDiff) Same() bool {
	return d.Records == nil && d.Certificates == nil && len(d.Files) == 0
}

// Diff compares the runs in folders a and b. It reads only. It fails with a checkpoint.DamagedError if weights or
// moments that it compares are not as they were written.
func Diff(a, b string) (*RunDiff, error) {
	d := &RunDiff{}
	var err error
	if d.Settings, err = diffSettings(a, b); err != nil {
		return nil, err
	}
	if d.Records, err = diffRecords(a, b); err != nil {
		return nil, err
	}
	if d.Files, err = diffFiles(a, b); err != nil {
		return nil, err
	}
	err = d.diffCertificates(a, b)
	return d, err
}

// diffFiles lists the tensors' files of the latest checkpoints that have other sums, if these are of one step. Files
// that are listed are compared with their manifests first.
func diffFiles(a, b string) (list []string, err error) {
	var of [2]*checkpoint.Manifest
	for i, dir := range []string{a, b} {
		err := checkpoint.Read(dir, func() (err error) {
			if of[i], err = checkpoint.ReadManifest(dir); err != nil {
				return err
			}
			return compareAll(of[i], dir, tensorFiles(of[i]))
		})
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil // an earlier version's, or before the first checkpoint
		}
		if err != nil {
			return nil, err
		}
	}
	if of[0].Step != of[1].Step {
		return nil, nil
	}
	for _, name := range tensorFiles(of[0]) {
		if of[1].Files[name] != of[0].Files[name] {
			list = append(list, name)
		}
	}
	return list, nil
}

// tensorFiles lists the files of weights and moments in a manifest.
func tensorFiles(m *checkpoint.Manifest) []string {
	return slices.DeleteFunc(m.Names(), func(name string) bool { return !strings.HasSuffix(name, ".safetensors") })
}

// diffSettings lists the settings that two runs have differently, in the order of bdia.yaml.
func diffSettings(a, b string) (list []SettingDiff, err error) {
	var of [2][]Setting
	for i, dir := range []string{a, b} {
		t, err := ReadRun(filepath.Join(dir, configFile))
		if err != nil {
			return nil, err
		}
		of[i] = append([]Setting{{"task", t.Name()}}, Settings(t)...)
	}
	values := map[string]string{}
	for _, s := range of[1] {
		values[s.Name] = s.Value
	}
	for _, s := range of[0] {
		other := values[s.Name]
		delete(values, s.Name)
		if s.Value != other {
			list = append(list, SettingDiff{s.Name, s.Value, other})
		}
	}
	for _, s := range of[1] {
		if v, only := values[s.Name]; only && v != "" {
			list = append(list, SettingDiff{s.Name, "", v})
		}
	}
	return list, nil
}

// diffRecords returns the first difference of what two runs recorded.
func diffRecords(a, b string) (first *metric.Difference, err error) {
	var of [2]map[string][]metric.Point
	var names []string
	for i, dir := range []string{a, b} {
		series, _, err := metric.ReadSeries(filepath.Join(dir, metric.JSONLName))
		if err != nil && !errors.Is(err, os.ErrNotExist) { // none before the first record
			return nil, err
		}
		of[i] = map[string][]metric.Point{}
		for _, s := range series {
			if strings.HasSuffix(s.Name, "_per_second") {
				continue
			}
			if of[0][s.Name] == nil && of[1][s.Name] == nil {
				names = append(names, s.Name)
			}
			of[i][s.Name] = s.Points
		}
	}
	for _, name := range names {
		if d := diffPoints(name, of[0][name], of[1][name]); d != nil && (first == nil || d.Step < first.Step) {
			first = d
		}
	}
	return first, nil
}

// diffPoints returns the first difference of two series of one name.
func diffPoints(name string, a, b []metric.Point) *metric.Difference {
	for i := range max(len(a), len(b)) {
		switch {
		case i >= len(a) || i < len(b) && b[i].X < a[i].X:
			return &metric.Difference{Step: int(b[i].X), What: name, A: "none", B: fmt.Sprint(b[i].Y)}
		case i >= len(b) || a[i].X < b[i].X:
			return &metric.Difference{Step: int(a[i].X), What: name, A: fmt.Sprint(a[i].Y), B: "none"}
		case math.Float64bits(a[i].Y) != math.Float64bits(b[i].Y):
			return &metric.Difference{Step: int(a[i].X), What: name, A: fmt.Sprint(a[i].Y), B: fmt.Sprint(b[i].Y)}
		}
	}
	return nil
}

// diffCertificates finds the first difference of certificates, if both runs have them.
func (d *RunDiff) diffCertificates(a, b string) error {
	for _, dir := range []string{a, b} {
		if _, err := os.Stat(filepath.Join(dir, metric.CertificateName)); errors.Is(err, os.ErrNotExist) {
			return nil
		}
	}
	d.Certified = true
	var err error
	nextA, stopA := iter.Pull(certificatesOf(a, &err))
	defer stopA()
	nextB, stopB := iter.Pull(certificatesOf(b, &err))
	defer stopB()
	x, moreA := nextA()
	y, moreB := nextB()
	for (moreA || moreB) && err == nil && d.Certificates == nil {
		switch {
		case !moreA || moreB && y.Step < x.Step:
			d.Certificates = &metric.Difference{Step: y.Step, What: "certificate", A: "none", B: y.Hash}
		case !moreB || x.Step < y.Step:
			d.Certificates = &metric.Difference{Step: x.Step, What: "certificate", A: x.Hash, B: "none"}
		default:
			d.Certificates = x.Differ(&y)
			x, moreA = nextA()
			y, moreB = nextB()
		}
	}
	return err
}

// certificatesOf gives the certificates of the run in dir. An error ends them.
func certificatesOf(dir string, err *error) iter.Seq[metric.Certificate] {
	return func(yield func(metric.Certificate) bool) {
		*err = cmp.Or(*err, metric.EachCertificate(dir, yield))
	}
}
