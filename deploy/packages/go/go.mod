module github.com/headless-dns/headless-dns/deploy/packages/go

go 1.22
