module example.com/redis-set

go 1.21
