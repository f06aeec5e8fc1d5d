package main

import (
	"github.com/spf13/cobra"

	"github.com/bdia-go/bdia/train/images"
)

func newTrainImages() *cobra.Command {
	t := images.New(images.Default())
	return trainer(&cobra.Command{
		Use:     "images",
		Aliases: []string{images.Name},
		Short:   "Train a vision transformer on labelled images",
		Long: `Train a vision transformer on CIFAR-10, CIFAR-100 or MNIST in their original files, or
on PNG, JPEG, WebP, BMP, GIF and TIFF files in a folder for each class, as folders,
.zip or .tar archives. Folders named train, val or test (Training, test_set, ...) are
sets. Flat folders take their classes from a table, such as labels.csv, with columns
filename and label. --dry-run shows what was found. The best weights are the ones with
the highest validation accuracy.`,
		Example: `  bdia train images --data cifar-10-binary.tar.gz --crop 4 --flip
  bdia train images --data train.tar --test test.tar --epochs 30 --ema 0.999
  bdia train images --data photos/ --from vit_small_patch16_224/ --lr 1e-4`,
	}, t, imageGroups(&t.Settings))
}
