module github.com/zlpr/zlpr

go 1.25.0

require (
	github.com/mmcloughlin/avo v0.6.0
	github.com/stretchr/testify v1.12.1
	golang.org/x/sys v0.40.0
)

require (
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/mod v0.21.0 // indirect
	golang.org/x/sync v0.8.0 // indirect
)

require golang.org/x/tools v0.26.0 // indirect; avo asks for v0.16.1, which does not compile with Go 1.25 and later
