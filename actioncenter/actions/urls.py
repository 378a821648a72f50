from django.urls import path

from actioncenter.actions.views import handover, reviews
from actioncenter.actions.views.assigning import assign, defer, hand_over
from actioncenter.actions.views.bulk import bulk
from actioncenter.actions.views.decide import decide
from actioncenter.actions.views.detail import detail
from actioncenter.actions.views.edit import edit
from actioncenter.actions.views.lists import history, pending

app_name = "actions"
urlpatterns = [
    path("action-center/pending", pending, name="pending"),
    path("action-center/history", history, name="history"),
    path("action-center/actions/<int:number>", detail, name="detail"),
    path("action-center/actions/<int:number>/assign", assign, name="assign"),
    path("action-center/actions/<int:number>/defer", defer, name="defer"),
    path("action-center/actions/<int:number>/hand-over", hand_over, name="hand_over"),
    path("action-center/actions/<int:number>/edit", edit, name="edit"),
    path("action-center/actions/<int:number>/<slug:verb>", decide, name="decide"),
    path("action-center/bulk", bulk, name="bulk"),
    path("action-center/handover", handover.handovers, name="handovers"),
    path("action-center/handover/offer", handover.offer, name="offer_handover"),
    path("action-center/handover/<int:pk>", handover.handover, name="handover"),
    path("action-center/handover/<int:pk>/accept", handover.accept, name="accept_handover"),
    path("action-center/handover/<int:pk>/cancel", handover.cancel, name="cancel_handover"),
    path("action-center/reviews", reviews.reviews, name="reviews"),
    path("action-center/reviews/<int:pk>", reviews.judge, name="judge"),
]
