// Pins the linter of the protos, which `make lint` builds.
module kintsugi/lint

go 1.24.0

require github.com/googleapis/api-linter/v2 v2.0.0
