"""Looks up what a plan rests on: payload walk and digests, git, lockfile."""
