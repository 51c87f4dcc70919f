// Command asm writes the generated kernels and their declarations to the
// current directory.
package main

import (
	"log"
	"os"

	"github.com/zlpr/zlpr/internal/gen"
)

func main() {
	files, err := gen.Files()
	if err != nil {
		log.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(name, text, 0o644); err != nil {
			log.Fatal(err)
		}
	}
}
