"""Naive Bayes, logistic regression, the linear SVM and three small networks (chapter 2)."""
