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
		Long: `Train a vision transformer on CIFAR, MNIST, or image files in a folder for each class,
in a folder, .zip or .tar. Folders such as train and test are sets. A table labels.csv
may name the classes. The best weights have the highest validation accuracy.`,
		Example: `  bdia train images --data cifar-10-binary.tar.gz --crop 4 --flip
  bdia train images --data train.tar --test test.tar --epochs 30 --ema 0.999
  bdia train images --data photos/ --from vit_small_patch16_224/ --lr 1e-4`,
	}, t, imageGroups(&t.Settings))
}
