#!/usr/bin/env python3
from actioncenter import bootstrap

if __name__ == "__main__":
    bootstrap.main()
