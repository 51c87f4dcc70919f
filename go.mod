module github.com/zlpr/zlpr

go 1.25.0

require (
	github.com/mmcloughlin/avo v0.6.0 // indirect
	github.com/stretchr/testify v1.12.1 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/tools v0.26.0 // indirect
)
