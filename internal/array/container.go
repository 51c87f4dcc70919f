package array

import (
	"slices"
)

// A Container is a file of arrays that have names.
type Container interface {
	Keys() []string // in the order of the file
	Open(key string) (*Array, error)
}

// Container returns the arrays that an input has, nil if it is no container.
// Closing the input closes it.
func (in *Input) Container() (Container, error) {
	switch in.Format {
	case Zip:
		z, err := in.Archive()
		if err != nil {
			return nil, err
		}
		if folder := z.torchFolder(); folder != "" {
			in.torch = true
			return readTorch(z, folder)
		}
		return z, nil
	case Safetensors:
		return in.safetensors()
	}
	return nil, nil
}

// openOnly opens the array of that name or, without a name, the only one.
func openOnly(c Container, path, key string) (*Array, error) {
	key, err := only(c, path, key)
	if err != nil {
		return nil, err
	}
	return c.Open(key)
}

// only returns key or, if that is empty, the name of the only array.
func only(c Container, path, key string) (string, error) {
	if key != "" {
		return key, nil
	}
	switch keys := c.Keys(); len(keys) {
	case 0:
		return "", Faultf(path, "no arrays in it; write it again with some")
	case 1:
		return keys[0], nil
	default:
		name := Quote(path + ":" + short(keys[0]))
		if path == Stdin {
			name = Stdin + ":" + Quote(short(keys[0])) // as it is typed
		}
		return "", Faultf(path, "several arrays: %s; choose one by its name after a colon, as in %s", quoteAll(keys), name)
	}
}

// noArray is the error of a name that no array has.
func noArray(c Container, path, key string) error {
	return Faultf(path, "no array %q; there are: %s", short(key), quoteAll(c.Keys()))
}

// containers are the endings of the names of containers.
var containers = []string{".npz", ".safetensors", ".pt", ".pth"}

func isContainer(ext string) bool { return slices.Contains(containers, ext) }
