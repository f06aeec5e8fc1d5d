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
//     folder, .tar, .tar.gz or .tgz of them. Files whose names start with "test"
//     are the test set. Class names come from batches.meta.txt or
//     fine_label_names.txt beside them; without those they are numbers.
//   - PNG, JPEG and WebP images in class folders: a folder, .tar, .tar.gz or
//     .tgz of class/image.png, at any depth below one common folder. Where the
//     class folders lie below train and val, valid, validation or test (the first
//     of these that is there), those are the two sets.
//   - A folder of archives with those names: train.tar, test.tar (.tar.gz, .tgz).
//
// Hidden files, links and files with other endings are left out. Classes are in
// the order of their names, images within a class too (CIFAR: in file order).
//
// # Pixels
//
// An image becomes 8-bit RGB: grey is repeated, transparent images lie on white,
// CMYK is converted, EXIF orientation is not applied. If it is not of the wanted
// size S×S, its centre square (the largest one) is scaled by Catmull-Rom, the
// same as scaling the shorter side to S and cropping the centre. In batches a
// pixel v of channel c is (v/255 - mean[c]) / std[c], in planes (3,S,S).
//
// # Randomness
//
// The order of an epoch, every augmentation and every mixture is a pure function
// of the seed and its purpose (epoch and sample, or step). So it does not depend
// on threads, on the split of a batch into micro-batches, or on where a run was
// resumed.
package images
