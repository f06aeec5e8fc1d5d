// Package images turns labelled images into batches for image classifiers.
//
// [Open] lists the images of a data set, checks its classes, decodes every image
// once and returns a [Dataset]: a training [Set] and perhaps a validation [Set].
// [Batches] shuffles and augments the training set in the background; [Set.Fill]
// returns images without augmentation, for evaluation.
//
// # Layouts
//
//   - CIFAR-10 and CIFAR-100 in their original binary layout: one .bin file, or a
//     folder or archive of them. Files whose names start with "test" are the test
//     set. Class names come from batches.meta.txt or fine_label_names.txt beside
//     them; without those they are numbers.
//   - MNIST's files: a folder or archive of pairs idx3-ubyte and idx1-ubyte, perhaps
//     compressed by gzip.
//   - PNG, JPEG, WebP, BMP, GIF and TIFF images in class folders: a folder or archive
//     of class/image.png, at any depth below one common folder. If the class folders
//     lie below folders of sets, such as train and val, Training and Testing, or
//     train_set and test_set, the sets are these. For validation, names with val
//     come before dev and eval, and these before test. A further set is not used.
//   - Images in one folder, or in folders of sets, and a CSV or TSV table with a
//     column of files (filename, image, id) and one of classes (label, class).
//   - A folder of archives with the names of sets: train.tar, test.zip.
//
// Archives are .zip, .tar, .tar.gz and .tgz. Links are followed. Hidden files and the
// ones of systems are left out. Dataset.LeftOut counts whatever is not used. Classes
// are in the order of their names, images within a class too (CIFAR: in file order).
//
// # Pixels
//
// An image becomes 8-bit RGB, turned upright by its EXIF orientation: grey is
// repeated, transparent images lie on white, CMYK is converted, the colour of JPEG and
// WebP is interpolated as libjpeg and libwebp do. Of an animation the first picture is
// taken. If an image is not of the wanted size S×S, its centre square (the largest
// one) is scaled by Catmull-Rom, the same as scaling the shorter side to S and
// cropping the centre. In batches a pixel v of channel c is
// (v/255 - mean[c]) / std[c], in planes (3,S,S).
//
// # Randomness
//
// The order of an epoch, every augmentation and every mixture is a pure function
// of the seed and its purpose (epoch and sample, or step). So it does not depend
// on threads, on the split of a batch into micro-batches, or on where a run was
// resumed.
package images
